"""Checkpoints: weights, optimiser, step and running averages, so that a run goes on where it stopped."""

import os
import pathlib
import shutil
import sys
import time
from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from simsiam_tf.distribute import workers
from simsiam_tf.errors import UsageError
from simsiam_tf.methods import SSLModel
from simsiam_tf.networks.fingerprint import variables_sha256


def _trackable(variables: list[keras.Variable]) -> tf.train.Checkpoint:
    """Makes a checkpoint of variables by their paths.

    Not `Checkpoint(model=model)`: that skips, without a word, what a Keras model holds in lists, which for
    a ResNet is all of its blocks.
    """
    by_path = {v.path: v.value for v in variables}
    if len(by_path) != len(variables):
        raise ValueError("Two variables of a model have the same path; give its layers names of their own.")
    return tf.train.Checkpoint(**{path.replace("/", "."): value for path, value in by_path.items()})


class Checkpoints:
    """Saves and restores the checkpoints of one run, numbered by step.

    Of several workers only the chief writes and reads; the others get what it read.

    Args:
        model: a compiled method whose optimizer is built.
        strategy: the distribution strategy that the model was made under.
        directory: the folder of the checkpoints.
        keep: the number of checkpoints that are kept.
    """

    def __init__(self, model: SSLModel, strategy: tf.distribute.Strategy, directory: pathlib.Path, keep: int):
        self._model, self._strategy, self._directory, self._keep = model, strategy, directory, keep
        table = model.targets.table if model.targets is not None else None
        self._checkpoint = tf.train.Checkpoint(
            model=_trackable(model.variables),
            optimizer=_trackable(model.optimizer.variables),
            averages=_trackable(model.metrics_variables),
            **({} if table is None else {"table": table}),
        )
        self._saved_step = -1
        self._is_chief = workers.is_chief(strategy)

    @property
    def step(self) -> int:
        """Updates made so far."""
        return int(self._model.optimizer.iterations.numpy())

    @property
    def saved_step(self) -> int:
        """The step that was saved or restored last; -1 before that."""
        return self._saved_step

    def save(self) -> None:
        """Saves the present step, unless that is done already, and drops what is more than to be kept.

        Raises:
            FloatingPointError: if a number in the model or its optimizer is not finite; nothing is written then.
        """
        if self._saved_step != self.step:
            _check_finite([*self._model.variables, *self._model.optimizer.variables], f"Step {self.step}")
        if self._is_chief and self._saved_step != self.step:
            draft = self._directory / "draft"
            shutil.rmtree(draft, ignore_errors=True)  # what a kill left of an earlier save
            written = pathlib.Path(self._checkpoint.write(str(draft / f"step-{self.step}")))
            # The index comes last: without it there is no checkpoint.
            for part in sorted(written.parent.glob(f"{written.name}.*"), key=lambda path: path.suffix == ".index"):
                _flush(part)
                part.replace(self._directory / part.name)
            _flush(self._directory)
            shutil.rmtree(draft)
            saved = saved_checkpoints(self._directory)
            damaged = [path for path in saved if _step(path) > self.step]  # or else this run would be there
            for old in [*damaged, *saved[len(damaged) :][self._keep :]]:
                for part in (pathlib.Path(f"{old}.index"), *self._directory.glob(f"{pathlib.Path(old).name}.data-*")):
                    part.unlink(missing_ok=True)
        self._saved_step = self.step

    def restore_latest(self) -> int:
        """Restores the latest checkpoint that can be read, on every worker; returns the step to go on from.

        Raises:
            UsageError: if there are checkpoints and none can be read.
            FloatingPointError: if the weights that it holds are not finite.
        """
        there = saved_checkpoints(self._directory) if self._is_chief else []
        try:
            found = _read_first(self._checkpoint, there)
        except AssertionError as error:
            raise UsageError(
                "The run's checkpoints are of another model than this version makes of its settings; go on with the "
                f"version that began it. Received: {self._directory}."
            ) from error
        if there and not found:
            raise UsageError(
                "None of the run's checkpoints can be read; move them away to start anew, or give another --workdir. "
                f"Received: {self._directory}."
            )
        if workers.broadcast_from_chief(self._strategy, int(bool(found))):
            model = self._model
            state = [*model.variables, *model.optimizer.variables, *model.metrics_variables]
            workers.copy_from_chief(self._strategy, [v.value for v in state])
            self._saved_step = self.step
            _check_finite(model.variables, f"The checkpoint step-{self.step}")
        return self.step


def _check_finite(variables: Sequence[keras.Variable], what: str) -> None:
    """Raises a FloatingPointError if a number of some variables is not finite: nobody should go on from there."""
    for variable in variables:
        if not np.isfinite(variable.value.numpy()).all():
            raise FloatingPointError(
                f"{what} has weights that are not finite numbers, as a run that diverged leaves them; lower the "
                f"learning rate, or go on from an earlier checkpoint. Received: {variable.path}."
            )


def _flush(path: pathlib.Path) -> None:
    """Makes the system write a file or a folder to its disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError:  # some file systems have no such thing for folders
        pass
    finally:
        os.close(descriptor)


def _read_first(checkpoint: tf.train.Checkpoint, paths: Sequence[str]) -> str | None:
    """Reads the first of the paths that can be read. Returns that path, or `None`."""
    for path in paths:
        try:
            checkpoint.read(path).assert_existing_objects_matched().expect_partial()
            return path
        except (tf.errors.OpError, ValueError, IndexError, RuntimeError) as error:  # damaged
            reason = (str(error) or type(error).__name__).splitlines()[0]
            print(f"warning: {path} cannot be read ({reason}); trying the one before.", file=sys.stderr)
    return None


def _step(path: str) -> int:
    return int(path.rpartition("-")[2])


def saved_checkpoints(directory: pathlib.Path) -> list[str]:
    """Lists the checkpoints of a run, the latest first. It does not look at whether they can be read."""
    paths = [str(path.with_suffix("")) for path in directory.glob("step-*.index")]
    return sorted(paths, key=_step, reverse=True)


def restore_model(model: SSLModel, directory: pathlib.Path, checkpoint: str = "") -> str:
    """Restores a method's weights for evaluation.

    Args:
        model: the method.
        directory: the folder of the run's checkpoints.
        checkpoint: the path of a checkpoint; by default the latest that can be read.

    Returns:
        The checkpoint's path.

    Raises:
        UsageError: if there is none.
        FloatingPointError: if the weights that it holds are not finite.
    """
    paths = [checkpoint.removesuffix(".index")] if checkpoint else saved_checkpoints(directory)
    if not paths:
        raise UsageError(f"The run has no checkpoint yet; looked in {directory}.")
    try:
        path = _read_first(tf.train.Checkpoint(model=_trackable(model.variables)), paths)
    except AssertionError:  # of another model
        path = None
    if path is None:
        wrong = f"--checkpoint must be a checkpoint of this run. Received: {checkpoint}."
        raise UsageError(wrong if checkpoint else f"None of the run's checkpoints can be read; looked in {directory}.")
    _check_finite(model.variables, f"The checkpoint {pathlib.Path(path).name}")
    return path


def weights_sha256(model: SSLModel) -> str:
    """Computes a fingerprint of every variable of a model and its optimizer, in the order of their paths."""
    return variables_sha256([*model.variables, *model.optimizer.variables])


class Saver:
    """Saves by steps and by the clock.

    Args:
        checkpoints: the checkpoints of the run.
        every_steps: the number of steps between two saves; 0 does not save by steps.
        every_minutes: the greatest time between two saves; 0 does not save by the clock.
    """

    def __init__(self, checkpoints: Checkpoints, every_steps: int, every_minutes: float):
        self._checkpoints = checkpoints
        self._every_steps = every_steps
        self._every_seconds = every_minutes * 60
        self._last = time.monotonic()

    @property
    def step(self) -> int:
        """Updates made so far."""
        return self._checkpoints.step

    @property
    def is_due(self) -> bool:
        """Whether so many minutes have gone by."""
        return bool(self._every_seconds) and time.monotonic() - self._last >= self._every_seconds

    def is_due_at(self, step: int) -> bool:
        """Whether a multiple of so many steps was reached since the last save."""
        every, saved = self._every_steps, max(self._checkpoints.saved_step, 0)
        return bool(every) and step // every > saved // every

    def save(self) -> None:
        """Saves the present step."""
        self._checkpoints.save()
        self._last = time.monotonic()
