"""Saves the state of a probe to disk, so that a stopped probe can be resumed."""

import logging
import pathlib
import zipfile
import zlib

import keras
import numpy as np

_log = logging.getLogger(__name__)


class ProbeState:
    """Saves a probe's variables to a file, and restores them.

    The file is written after each epoch, to resume from. After the last epoch it holds the trained classifier.

    Args:
        file: the path of the `.npz` file.
        variables: the variables of the probe.
    """

    def __init__(self, file: pathlib.Path, variables: list[keras.Variable]) -> None:
        self.file, self._variables = file, variables

    def save(self, epochs: int, seconds: float) -> None:
        """Saves the variables and the progress of the training.

        Args:
            epochs: the number of epochs trained so far.
            seconds: the seconds that these epochs took.
        """
        self.file.parent.mkdir(parents=True, exist_ok=True)
        draft = self.file.with_name(f"draft-{self.file.name}")
        values = {f"{i:02}_{v.name}": v.numpy() for i, v in enumerate(self._variables)}
        np.savez(draft, epochs=epochs, seconds=seconds, **values)
        draft.replace(self.file)

    def restore(self) -> tuple[int, float]:
        """Restores the variables, if there is a file.

        A damaged file, or the file of another probe, is ignored with a warning. The checksums in an `.npz` file reveal
        damage.

        Returns:
            The number of epochs trained so far and the seconds that they took; zeros if nothing was restored.
        """
        if not self.file.exists():
            return 0, 0.0
        try:
            with np.load(self.file) as saved:
                values = [saved[f"{i:02}_{variable.name}"] for i, variable in enumerate(self._variables)]
                epochs, seconds = int(saved["epochs"]), float(saved["seconds"])
            if any(v.shape != variable.shape for v, variable in zip(values, self._variables, strict=True)):
                raise ValueError("it belongs to another probe")
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            _log.warning(f"cannot resume from {self.file} ({error}); training the probe from the start.")
            return 0, 0.0
        for variable, value in zip(self._variables, values, strict=True):
            variable.assign(value)
        return epochs, seconds
