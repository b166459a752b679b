"""Checkpoints: weights, optimiser, step and running averages, so that a run goes on where it stopped."""

import pathlib
import time

import keras
import tensorflow as tf

from simsiam_tf.config import UsageError
from simsiam_tf.methods import SSLModel


def _trackable(variables: list[keras.Variable]) -> tf.train.Checkpoint:
    """Variables by their paths.

    Not `Checkpoint(model=model)`: that skips, without a word, what a Keras model holds in lists, which for
    a ResNet is all of its blocks.
    """
    by_path = {v.path: v.value for v in variables}
    if len(by_path) != len(variables):
        raise ValueError("Two variables of a model have the same path; give its layers names of their own.")
    return tf.train.Checkpoint(**{path.replace("/", "."): value for path, value in by_path.items()})


class Checkpoints:
    """The checkpoints of one run, numbered by step.

    Args:
        model: a compiled method whose optimizer is built.
        directory: where they lie.
        keep: how many are kept.
    """

    def __init__(self, model: SSLModel, directory: pathlib.Path, keep: int):
        self._model = model
        self._checkpoint = tf.train.Checkpoint(
            model=_trackable(model.variables),
            optimizer=_trackable(model.optimizer.variables),
            averages=_trackable(model.metrics_variables),
        )
        self._manager = tf.train.CheckpointManager(
            self._checkpoint, str(directory), max_to_keep=keep, step_counter=None, checkpoint_name="step"
        )

    @property
    def step(self) -> int:
        """Updates made so far."""
        return int(self._model.optimizer.iterations.numpy())

    @property
    def saved_step(self) -> int:
        """The step of the latest checkpoint; -1 without any."""
        latest = self._manager.latest_checkpoint
        return int(latest.rpartition("-")[2]) if latest else -1

    def save(self) -> None:
        """Saves the present step, unless that is done already."""
        if self.saved_step != self.step:
            self._manager.save(checkpoint_number=self.step)

    def restore_latest(self) -> int:
        """Restores the latest checkpoint, if there is one; returns the step to go on from."""
        if self._manager.latest_checkpoint:
            self._checkpoint.restore(self._manager.latest_checkpoint).assert_existing_objects_matched()
        return self.step


def restore_model(model: SSLModel, directory: pathlib.Path, checkpoint: str = "") -> str:
    """Restores a method's weights for evaluation.

    Args:
        model: the method.
        directory: of the run's checkpoints.
        checkpoint: a certain one; by default the latest.

    Returns:
        The checkpoint's path.

    Raises:
        UsageError: if there is none.
    """
    path = checkpoint.removesuffix(".index") or tf.train.latest_checkpoint(str(directory))
    if not path:
        raise UsageError(f"The run has no checkpoint yet; looked in {directory}.")
    try:
        reader = tf.train.Checkpoint(model=_trackable(model.variables))
        reader.restore(path).assert_existing_objects_matched().expect_partial()
    except (tf.errors.OpError, AssertionError, ValueError) as error:
        raise UsageError(f"--checkpoint must be a checkpoint of this run. Received: {path}.") from error
    return path


class SaveCheckpoints(keras.callbacks.Callback):
    """Saves at each epoch's end, and as often as `save_every_steps` and `save_every_minutes` say."""

    def __init__(self, checkpoints: Checkpoints, every_steps: int, every_minutes: float):
        super().__init__()
        self._checkpoints = checkpoints
        self._every_steps = every_steps
        self._every_seconds = every_minutes * 60
        self._last = time.monotonic()

    def on_train_batch_end(self, batch, logs=None):
        by_step = self._every_steps and (batch + 1) % self._every_steps == 0
        by_time = self._every_seconds and time.monotonic() - self._last >= self._every_seconds
        # The epoch's last step is saved by on_epoch_end, after the epoch is on record: a resume from it would
        # otherwise never write that record.
        if (by_step or by_time) and batch + 1 < self.params["steps"]:
            self._save()

    def on_epoch_end(self, epoch, logs=None):
        self._save()

    def _save(self):
        self._checkpoints.save()
        self._last = time.monotonic()
