"""What a run leaves on record: metrics.jsonl, TensorBoard, and a word when it goes wrong."""

import math
import time

import keras
import tensorflow as tf

from simsiam_tf.optim import SGD
from simsiam_tf.workdir import Workdir


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


class HealthCheck(keras.callbacks.Callback):
    """Says when a run diverges or collapses, and what to look at.

    Args:
        advice: what to do where the loss is no longer finite.
    """

    # A healthy z_std_scaled is near 1. After a collapse batch norm leaves about 2 / sqrt(batch).
    # Below POINT_STD all z point in one direction, whatever the loss is of.
    COLLAPSED_STD, COLLAPSED_LOSS, POINT_STD = 0.5, -0.9, 0.1

    def __init__(self, advice: str = "lower --base_learning_rate or use --warmup_epochs"):
        super().__init__()
        self._advice = advice

    def on_train_batch_end(self, batch, logs=None):
        if not math.isfinite(logs["loss"]):
            raise FloatingPointError(f"The loss became {logs['loss']} at step {batch + 1} of an epoch; {self._advice}.")

        if logs.get("loss_scale") == SGD.LEAST_SCALE:
            raise FloatingPointError(
                "In float16 gradients overflow even when the loss is not scaled, so every step is skipped; "
                "use --precision=bfloat16, or lower --base_learning_rate."
            )

    def on_epoch_end(self, epoch, logs=None):
        std, loss = logs.get("z_std_scaled", 1.0), logs["loss"]
        if (std < self.COLLAPSED_STD and loss < self.COLLAPSED_LOSS) or std < self.POINT_STD:
            print(
                f"warning: epoch {epoch + 1}: the representations look collapsed: loss {loss:.3f} with "
                f"z_std_scaled {std:.3f} (healthy: near 1). "
                "Check what keeps them apart: stop-gradient, predictor, negatives (paper Sec. 4.1, 4.2, 6.2)."
            )
