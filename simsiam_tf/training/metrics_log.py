"""Records the metrics of a run after each epoch, in metrics.jsonl and for TensorBoard."""

import math
import statistics
import time
from collections import deque
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from simsiam_tf.callbacks.collapse_monitor import CollapseMonitor
from simsiam_tf.files import plain_path
from simsiam_tf.methods.base import LEFT_OUT
from simsiam_tf.training.hparams import write_hparams
from simsiam_tf.training.run_files import FIRST_LOSS, STATE
from simsiam_tf.training.workdir import Workdir

# The loss of a step is compared with its mean over so many steps.
_AROUND = 50


class LossSpread:
    """Measures how much the loss varies from step to step, in each epoch.

    It is given the running mean of an epoch after each step, as Keras and our loop log it.

    Example:
        >>> spread = LossSpread()
        >>> for step in range(1, 101):
        ...     spread.add(step, mean=-0.5)
        >>> spread.end_epoch(steps=100)  # the first 49 steps have too few before them
        >>> for step in range(1, 101):
        ...     spread.add(step, mean=-0.5)
        >>> spread.end_epoch(steps=100)
        0.0
    """

    def __init__(self) -> None:
        self._recent: deque[float] = deque(maxlen=_AROUND)
        self._squares: list[float] = []
        self._count, self._sum, self._largest = 0, 0.0, 0.0

    def add(self, count: int, mean: float) -> None:
        """Takes in the mean loss of the epoch after a step.

        Args:
            count: the number of steps of the epoch so far whose loss is in the mean.
            mean: the mean loss of these steps.
        """
        step_loss, is_next = mean * count - self._sum, count == self._count + 1
        self._count, self._sum = count, mean * count
        self._largest = max(self._largest, abs(self._sum))
        # Otherwise there were several steps at once, one that is not in the mean, or a run that goes on in an epoch.
        if not is_next or not math.isfinite(step_loss):
            self._recent.clear()
            return
        self._recent.append(step_loss)
        if len(self._recent) == _AROUND:
            self._squares.append((step_loss - statistics.fmean(self._recent)) ** 2)

    def end_epoch(self, steps: int) -> float | None:
        """Ends an epoch, and returns the standard deviation of the loss around its mean over the 50 steps up to it.

        Args:
            steps: the number of steps in the epoch.

        Returns:
            The deviation; `None` unless it is known for each step of the epoch. The mean comes from a sum in float32,
            so it is `None` too where the steps of that sum are not small beside the deviation, as in epochs of many
            ten thousand steps.
        """
        squares, self._squares, self._count, self._sum = self._squares, [], 0, 0.0
        rounding, self._largest = float(np.spacing(np.float32(self._largest))), 0.0
        if len(squares) != steps:
            return None
        deviation = math.sqrt(statistics.fmean(squares))
        return deviation if deviation == 0 or rounding <= deviation / 4 else None


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
        self._spread = LossSpread()
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

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Notes the loss of a step. Keras counts the steps of an epoch from 0."""
        if logs and "loss" in logs:
            self._spread.add(batch + 1 - round(logs.get(LEFT_OUT, 0)), float(logs["loss"]))

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Writes the logs of an epoch. Keras counts epochs from 0, metrics.jsonl counts them from 1.

        `loss_std` is added to them where it is known (`LossSpread`).
        """
        spread = self._spread.end_epoch(self._steps_per_epoch)
        self.write(epoch + 1, {**(logs or {}), **({} if spread is None else {"loss_std": spread})})

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
        judged: dict[str, Any] = {}
        if self.guard is not None and epoch:
            judged = {STATE: str(self.guard.state)}
            judged |= {FIRST_LOSS: self.guard.first_loss} if self.guard.first_loss is not None else {}
        self._workdir.append_metrics({"epoch": epoch, "step": step, **values, "wall_seconds": wall_seconds, **judged})
        with self._writer.as_default():
            for name, value in values.items():
                tf.summary.scalar(name, value, step=step)
        self._writer.flush()
