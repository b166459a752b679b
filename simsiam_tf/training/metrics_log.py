"""Records the metrics of a run after each epoch, in metrics.jsonl and for TensorBoard."""

import math
import time
from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from simsiam_tf.callbacks.collapse_monitor import CollapseMonitor
from simsiam_tf.files import plain_path
from simsiam_tf.training.hparams import write_hparams
from simsiam_tf.training.run_files import STATE
from simsiam_tf.training.workdir import Workdir


class MetricsLog(keras.callbacks.Callback):
    """Writes a line of metrics.jsonl and a point of each TensorBoard curve at the end of each epoch.

    Args:
        workdir: the folder of the run.
        steps_per_epoch: the number of steps in an epoch.

    Attributes:
        guard: the monitor whose state each line names; without one, lines name no state.
    """

    guard: CollapseMonitor | None = None

    def __init__(self, workdir: Workdir, steps_per_epoch: int) -> None:
        super().__init__()
        self._workdir = workdir
        self._steps_per_epoch = steps_per_epoch
        self._writer = tf.summary.create_file_writer(str(plain_path(workdir.root) / workdir.tensorboard.name))
        earlier = workdir.metrics()
        self._start = time.monotonic() - (earlier[-1]["wall_seconds"] if earlier else 0.0)

    def write_settings(self, settings: Mapping[str, Any], metrics: Mapping[str, str]) -> None:
        """Writes the settings of a new run for TensorBoard's tab HPARAMS.

        Args:
            settings: the settings by name.
            metrics: the names of the curves to compare runs by, with the words that the tab shows for each.
        """
        write_hparams(self._writer, settings, metrics, str(self._workdir.root))

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Writes the logs of an epoch. Keras counts epochs from 0, metrics.jsonl counts them from 1."""
        self.write(epoch + 1, logs or {})

    def write(self, epoch: int, logs: dict[str, Any]) -> None:
        """Writes the logs of one epoch.

        Args:
            epoch: the number of the epoch, counted from 1; 0 stands for the untrained network.
            logs: the metrics by name.

        Raises:
            FloatingPointError: if a metric is not a finite number. Nothing is written then.
        """
        step = epoch * self._steps_per_epoch
        values = {name: float(value) for name, value in logs.items()}
        for name, value in values.items():
            if not math.isfinite(value):
                raise FloatingPointError(f"{name} became {value} in epoch {epoch}, so the run has diverged.")
        wall_seconds = time.monotonic() - self._start
        state = {STATE: str(self.guard.state)} if self.guard is not None and epoch else {}
        self._workdir.append_metrics({"epoch": epoch, "step": step, **values, "wall_seconds": wall_seconds, **state})
        with self._writer.as_default():
            for name, value in values.items():
                tf.summary.scalar(name, value, step=step)
        self._writer.flush()
