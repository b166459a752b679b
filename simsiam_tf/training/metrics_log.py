"""The record of a run, epoch by epoch: metrics.jsonl and TensorBoard."""

import math
import time
from typing import Any

import keras
import tensorflow as tf

from simsiam_tf.training.workdir import Workdir


class MetricsLog(keras.callbacks.Callback):
    """Writes a line of metrics.jsonl and a point of each TensorBoard curve at the end of each epoch."""

    def __init__(self, workdir: Workdir, steps_per_epoch: int) -> None:
        super().__init__()
        self._workdir = workdir
        self._steps_per_epoch = steps_per_epoch
        self._writer = tf.summary.create_file_writer(str(workdir.tensorboard))
        earlier = workdir.metrics()
        self._start = time.monotonic() - (earlier[-1]["wall_seconds"] if earlier else 0.0)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.write(epoch + 1, logs or {})

    def write(self, epoch: int, logs: dict[str, Any]) -> None:
        """Writes the logs of the epoch that ended. Epoch 0 stands for the untrained network.

        Raises:
            FloatingPointError: if one of them is not a finite number; nothing is written then.
        """
        step = epoch * self._steps_per_epoch
        values = {name: float(value) for name, value in logs.items()}
        for name, value in values.items():
            if not math.isfinite(value):
                raise FloatingPointError(f"{name} became {value} in epoch {epoch}, so the run has diverged.")
        wall_seconds = time.monotonic() - self._start
        self._workdir.append_metrics({"epoch": epoch, "step": step, **values, "wall_seconds": wall_seconds})
        with self._writer.as_default():
            for name, value in values.items():
                tf.summary.scalar(name, value, step=step)
        self._writer.flush()
