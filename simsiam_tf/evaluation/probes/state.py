"""Saves the state of a probe to disk, so that a stopped probe can be resumed."""

import logging
import math
import pathlib
from typing import Any

import keras
import numpy as np

from simsiam_tf.files import exists, load_arrays, make_folder, make_way, replacing

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
        make_way(self.file.parent, is_for_folder=True)
        make_folder(self.file.parent)
        make_way(self.file)
        values: dict[str, Any] = {f"{i:02}_{v.name}": v.numpy() for i, v in enumerate(self._variables)}
        with replacing(self.file) as draft, draft.open("wb") as file:  # np.savez would add an ending to a path
            np.savez(file, epochs=epochs, seconds=seconds, **values)

    def restore(self) -> tuple[int, float]:
        """Restores the variables, if there is a file.

        A damaged file, or the file of another probe, is ignored with a warning. The checksums in an `.npz` file reveal
        damage.

        Returns:
            The number of epochs trained so far and the seconds that they took; zeros if nothing was restored.
        """
        if not exists(self.file):
            return 0, 0.0
        try:
            values, epochs, seconds = self._read()
        except Exception as error:  # whatever NumPy and zipfile raise for a file that is damaged or is another's
            reason = " ".join(str(error).split()) or type(error).__name__
            _log.warning(f"cannot resume from {self.file} ({reason}); training the probe from the start.")
            return 0, 0.0
        for variable, value in zip(self._variables, values, strict=True):
            variable.assign(value)
        return epochs, seconds

    def _read(self) -> tuple[list[np.ndarray], int, float]:
        """Reads the values of the variables, the epochs and the seconds from the file."""
        saved = load_arrays(self.file)
        values = [saved[f"{i:02}_{variable.name}"] for i, variable in enumerate(self._variables)]
        epochs, seconds = int(saved["epochs"]), float(saved["seconds"])
        for value, variable in zip(values, self._variables, strict=True):
            if value.shape != variable.shape or value.dtype != variable.numpy().dtype:
                raise ValueError("it belongs to another probe")
        if epochs < 0 or not 0 <= seconds < math.inf:
            raise ValueError("its counts are not possible")
        return values, epochs, seconds
