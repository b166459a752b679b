"""The state of a probe on disk, so that a stopped probe is resumed."""

import pathlib
import sys
import zipfile
import zlib

import keras
import numpy as np


class ProbeState:
    """Keeps a probe's variables in a file: after each epoch to resume from, and at the end as the trained classifier.

    Args:
        file: the path of the `.npz`.
        variables: the variables of the probe.
    """

    def __init__(self, file: pathlib.Path, variables: list[keras.Variable]) -> None:
        self.file, self._variables = file, variables

    def save(self, epochs: int, seconds: float) -> None:
        """Saves the variables.

        Args:
            epochs: the number of epochs trained so far.
            seconds: the time that they took.
        """
        self.file.parent.mkdir(parents=True, exist_ok=True)
        draft = self.file.with_name(f"draft-{self.file.name}")
        values = {f"{i:02}_{v.name}": v.numpy() for i, v in enumerate(self._variables)}
        np.savez(draft, epochs=epochs, seconds=seconds, **values)
        draft.replace(self.file)

    def restore(self) -> tuple[int, float]:
        """Restores the variables, unless there is no file or it is damaged (a `.npz` has checksums).

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
                raise ValueError("it is of another probe")
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            print(f"warning: {self.file} cannot be gone on from ({error}); the probe is trained anew.", file=sys.stderr)
            return 0, 0.0
        for variable, value in zip(self._variables, values, strict=True):
            variable.assign(value)
        return epochs, seconds
