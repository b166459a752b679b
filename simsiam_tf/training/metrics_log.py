"""The record of a run, epoch by epoch: metrics.jsonl and TensorBoard."""

import time

import keras
import tensorflow as tf

from simsiam_tf.training.workdir import Workdir


class MetricsLog(keras.callbacks.Callback):
    """A line of metrics.jsonl and a point of each TensorBoard curve, epoch by epoch."""

    def __init__(self, workdir: Workdir, steps_per_epoch: int):
        super().__init__()
        self._workdir = workdir
        self._steps_per_epoch = steps_per_epoch
        self._writer = tf.summary.create_file_writer(str(workdir.tensorboard))
        earlier = workdir.metrics()
        self._start = time.monotonic() - (earlier[-1]["wall_seconds"] if earlier else 0.0)

    def on_epoch_end(self, epoch, logs=None):
        self.write(epoch + 1, logs)

    def write(self, epoch: int, logs: dict) -> None:
        """Writes the logs of the epoch that ended; 0 stands for the untrained network."""
        step = epoch * self._steps_per_epoch
        values = {name: float(value) for name, value in logs.items()}
        wall_seconds = time.monotonic() - self._start
        self._workdir.append_metrics({"epoch": epoch, "step": step, **values, "wall_seconds": wall_seconds})
        with self._writer.as_default():
            for name, value in values.items():
                tf.summary.scalar(name, value, step=step)
        self._writer.flush()
