"""Saves and restores checkpoints, so that an interrupted run resumes where it stopped.

A checkpoint holds the weights, the optimizer's variables with the step, the running averages of the logs, and the
remembered targets of Sec. 5.2 if the method has a table of them.
"""

import logging
import math
import pathlib
import re
import time
from collections.abc import Callable, Sequence

import keras
import numpy as np
import tensorflow as tf

from simsiam_tf.distribute import workers
from simsiam_tf.errors import UsageError
from simsiam_tf.files import as_path, is_refusal, plain_path
from simsiam_tf.methods import SSLModel
from simsiam_tf.networks.fingerprint import variables_sha256
from simsiam_tf.training.checkpoint_files import (
    check_files,
    check_space,
    delete_checkpoint,
    remove_remains,
    saved_checkpoints,
    step_of,
    write_whole,
)

_log = logging.getLogger(__name__)

# The name of the number of updates in a checkpoint.
_STEP = re.compile(r"optimizer/[a-z]+\.\.iteration/\.ATTRIBUTES/VARIABLE_VALUE")


def _trackable(variables: list[keras.Variable]) -> tf.train.Checkpoint:
    """Makes a checkpoint that holds variables by their paths.

    `Checkpoint(model=model)` would leave out, without a warning, everything that a Keras model keeps in lists. A ResNet
    keeps all of its blocks in lists (docs/decisions/0004-checkpoints-by-variable-path.md).
    """
    by_path = {v.path: v.value for v in variables}
    if len(by_path) != len(variables):
        raise ValueError("Two variables of a model have the same path; give its layers names of their own.")
    return tf.train.Checkpoint(**{path.replace("/", "."): value for path, value in by_path.items()})


class Checkpoints:
    """Saves and restores the checkpoints of one run, numbered by step.

    Only the chief reads and writes files. The other workers get the values that it read.

    Args:
        model: a compiled method whose optimizer is built.
        strategy: the distribution strategy that the model was made under.
        directory: the folder of the checkpoints.
        keep: the number of checkpoints to keep; older ones are deleted.
    """

    def __init__(self, model: SSLModel, strategy: tf.distribute.Strategy, directory: pathlib.Path, keep: int):
        self._model, self._strategy, self._directory, self._keep = model, strategy, directory, keep
        table = model.targets.table if model.targets is not None else None
        self._held = {
            "model": _trackable(model.variables),
            "optimizer": _trackable(model.optimizer.variables),
            **({} if table is None else {"table": table}),
        }
        self._size = checkpoint_bytes(model)
        self._saved_step = -1
        self._is_chief = workers.is_chief(strategy)

    @property
    def step(self) -> int:
        """Returns the number of updates made so far."""
        return int(self._model.optimizer.iterations.numpy())

    @property
    def saved_step(self) -> int:
        """Returns the step that was saved or restored last, or -1 if there was none yet."""
        return self._saved_step

    def _checkpoint(self, path: str = "") -> tf.train.Checkpoint:
        """Makes the object that writes a checkpoint, or that reads the one at a path.

        A run of an older version has no averages of what is measured since then. They begin anew.
        """
        averages = self._model.metrics_variables
        if path:
            keys = "".join(tf.train.load_checkpoint(path).get_variable_to_shape_map())
            averages = [average for average in averages if average.path.replace("/", "..") in keys]
        return tf.train.Checkpoint(**self._held, averages=_trackable(averages))

    def save(self) -> None:
        """Saves the current step, unless it is saved already, and deletes checkpoints beyond the number to keep.

        Raises:
            FloatingPointError: if a variable of the model or its optimizer is not finite. Nothing is written then.
            OSError: if the disk is full or fails. The earlier checkpoints stay whole then.
        """
        if self._saved_step != self.step:
            _check_finite([*self._model.variables, *self._model.optimizer.variables], f"Step {self.step}")
        if self._is_chief and self._saved_step != self.step:
            write_whole(self._checkpoint().write, self._directory, f"step-{self.step}")
            _log.debug(f"Saved step {self.step} in {self._directory}.")
            saved = saved_checkpoints(self._directory)
            damaged = [path for path in saved if step_of(path) > self.step]  # if readable, it would have been restored
            for old in [*damaged, *saved[len(damaged) :][self._keep :]]:
                delete_checkpoint(old)
        self._saved_step = self.step

    def write(self, folder: pathlib.Path, name: str) -> None:
        """Writes the present state as a checkpoint of another name, whatever its numbers are.

        Args:
            folder: the folder to write into.
            name: the name of the checkpoint.
        """
        write_whole(self._checkpoint().write, folder, name)

    def read(self, path: str) -> bool:
        """Restores the state from a checkpoint that `write` or `save` wrote; returns whether it can be read."""
        return _read_first(self._checkpoint, [path]) is not None

    def restore_latest(self) -> int:
        """Restores the latest checkpoint that can be read, on every worker.

        Returns:
            The step to resume from; 0 if there is no checkpoint.

        Raises:
            UsageError: if there are checkpoints, but none can be read or they belong to another model.
            FloatingPointError: if the restored weights are not finite.
            OSError: if the disk has no room for another checkpoint.
        """
        there = saved_checkpoints(self._directory) if self._is_chief else []
        if self._is_chief:
            remove_remains(self._directory)
            check_space(self._directory, self._size)
        try:
            found = _read_first(self._checkpoint, there)
        except AssertionError as error:
            raise UsageError(
                "The run's checkpoints do not fit the model that this version makes from its settings; resume it with "
                f"the version that started it. Received: {self._directory}."
            ) from error
        if there and not found:
            raise UsageError(
                "None of the run's checkpoints can be read; move them away to start again, or give another --workdir. "
                f"Received: {self._directory}."
            )
        if found:  # a kill may have come between a save and the end of an older checkpoint
            for old in [path for path in there if step_of(path) <= self.step][self._keep :]:
                delete_checkpoint(old)
        if workers.broadcast_from_chief(self._strategy, int(bool(found))):
            model = self._model
            state = [*model.variables, *model.optimizer.variables, *model.metrics_variables]
            workers.copy_from_chief(self._strategy, [v.value for v in state])
            self._saved_step = self.step
            _check_finite(model.variables, f"The checkpoint step-{self.step}")
        return self.step


def checkpoint_bytes(model: SSLModel) -> int:
    """Returns the size of a checkpoint of a method in bytes, without the names that it also holds.

    Args:
        model: a compiled method whose optimizer is built.
    """
    table = model.targets.table if model.targets is not None else None
    held = [*model.variables, *model.optimizer.variables, *([] if table is None else [table])]
    return sum(math.prod(v.shape) * tf.as_dtype(v.dtype).size for v in held)


def _check_finite(variables: Sequence[keras.Variable], what: str) -> None:
    """Raises a FloatingPointError if a variable is not finite. `what` is the subject of its message."""
    for variable in variables:
        if not np.isfinite(variable.value.numpy()).all():
            raise FloatingPointError(
                f"{what} has weights that are not finite numbers, so the run has diverged; lower the learning rate, or "
                f"resume from an earlier checkpoint. Received: {variable.path}."
            )


def _read_first(make: Callable[[str], tf.train.Checkpoint], paths: Sequence[str]) -> str | None:
    """Restores the first checkpoint that can be read, and returns its path, or `None` if none can be read.

    Args:
        make: a function that makes the object to restore from a path.
        paths: the paths of checkpoints.
    """
    for path in paths:
        try:
            literal = plain_path(as_path(path).parent) / as_path(path).name
            check_files(path)
            _check_step(literal)
            make(str(literal)).read(str(literal)).assert_existing_objects_matched().expect_partial()
            _log.debug(f"Restored {path}.")
            return path
        except (tf.errors.OpError, OSError, ValueError, IndexError, RuntimeError) as error:  # raised for damaged files
            if is_refusal(error):  # nothing is known of the checkpoint, which may be whole
                raise
            reason = (str(error) or type(error).__name__).splitlines()[0]
            _log.warning(f"{path} cannot be read ({reason}); trying the previous checkpoint.")
    return None


def _check_step(path: pathlib.Path) -> None:
    """Raises a ValueError if a checkpoint is named after another step than it holds, as after a mix-up of files."""
    reader = tf.train.load_checkpoint(str(path))
    steps = [int(reader.get_tensor(key)) for key in reader.get_variable_to_shape_map() if _STEP.fullmatch(key)]
    named = re.fullmatch("step-([0-9]+)", path.name)
    if named and steps and int(named[1]) not in steps:
        raise ValueError(f"it holds step {steps[0]}")


def restore_model(model: SSLModel, directory: pathlib.Path, checkpoint: str = "") -> str:
    """Restores the weights of a method for evaluation.

    Args:
        model: the method whose weights are assigned.
        directory: the folder of the run's checkpoints.
        checkpoint: the name or the path of a checkpoint; by default the latest one that can be read is taken.

    Returns:
        The path of the restored checkpoint.

    Raises:
        UsageError: if there is no checkpoint, or none that can be read and belongs to this model.
        FloatingPointError: if the restored weights are not finite.
    """
    by_name = [path for path in saved_checkpoints(directory) if as_path(path).name == checkpoint.removesuffix(".index")]
    paths = (by_name or [checkpoint.removesuffix(".index")]) if checkpoint else saved_checkpoints(directory)
    if not paths:
        raise UsageError(f"The run has no checkpoint yet; looked in {directory}.")
    try:
        path = _read_first(lambda _: tf.train.Checkpoint(model=_trackable(model.variables)), paths)
    except AssertionError:  # raised for a checkpoint of another model
        path = None
    if path is None:
        wrong = f"--checkpoint must be a checkpoint of this run. Received: {checkpoint}."
        raise UsageError(wrong if checkpoint else f"None of the run's checkpoints can be read; looked in {directory}.")
    _check_finite(model.variables, f"The checkpoint {pathlib.PurePath(path).name}")
    return path


def weights_sha256(model: SSLModel) -> str:
    """Computes the SHA-256 of all variables of a model and its optimizer: their paths and values, ordered by path."""
    return variables_sha256([*model.variables, *model.optimizer.variables])


class Saver:
    """Saves checkpoints, and decides when a save is due: after a number of steps or after some time.

    Args:
        checkpoints: the checkpoints of the run.
        every_steps: the number of steps between two saves; 0 means never by steps.
        every_minutes: the number of minutes after which a save is due; 0 means never by time.
    """

    def __init__(self, checkpoints: Checkpoints, every_steps: int, every_minutes: float):
        self._checkpoints = checkpoints
        self._every_steps = every_steps
        self._every_seconds = every_minutes * 60
        self._last = time.monotonic()

    @property
    def step(self) -> int:
        """Returns the number of updates made so far."""
        return self._checkpoints.step

    @property
    def is_due(self) -> bool:
        """Returns whether `every_minutes` have passed since the last save."""
        return bool(self._every_seconds) and time.monotonic() - self._last >= self._every_seconds

    def is_due_at(self, step: int) -> bool:
        """Returns whether training has reached a multiple of `every_steps` since the last save.

        Args:
            step: the number of updates made so far.
        """
        every, saved = self._every_steps, max(self._checkpoints.saved_step, 0)
        return bool(every) and step // every > saved // every

    def save(self) -> None:
        """Saves the current step, and starts to measure the time to the next save.

        Raises:
            FloatingPointError: if a variable of the model or its optimizer is not finite. Nothing is written then.
        """
        self._checkpoints.save()
        self._last = time.monotonic()
