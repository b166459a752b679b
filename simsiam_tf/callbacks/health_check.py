"""A word when a run diverges or collapses."""

import math
from typing import Any

import keras

from simsiam_tf.config.collapse import COLLAPSED_LOSS, COLLAPSED_STD, POINT_STD
from simsiam_tf.optim import SGD


class HealthCheck(keras.callbacks.Callback):
    """Says when a run diverges or collapses, and what to look at.

    Args:
        advice: what to do where the loss is no longer finite.
    """

    def __init__(self, advice: str = "lower --base_learning_rate or use --warmup_epochs"):
        super().__init__()
        self._advice = advice

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if not math.isfinite(logs["loss"]):
            raise FloatingPointError(f"The loss became {logs['loss']} at step {batch + 1} of an epoch; {self._advice}.")

        if logs.get("loss_scale") == SGD.LEAST_SCALE:
            raise FloatingPointError(
                "In float16 gradients overflow even when the loss is not scaled, so every step is skipped; "
                "use --precision=bfloat16, or lower --base_learning_rate."
            )

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        std, loss = logs.get("z_std_scaled", 1.0), logs["loss"]
        if (std < COLLAPSED_STD and loss < COLLAPSED_LOSS) or std < POINT_STD:
            print(
                f"warning: epoch {epoch + 1}: the representations look collapsed: loss {loss:.3f} with "
                f"z_std_scaled {std:.3f} (healthy: near 1). "
                "Check what keeps them apart: stop-gradient, predictor, negatives (paper Sec. 4.1, 4.2, 6.2)."
            )
