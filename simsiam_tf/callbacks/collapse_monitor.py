"""Warns when a run collapses, and stops it when it diverges."""

import logging
import math
from typing import Any

import keras

from simsiam_tf.config.collapse import COLLAPSED_LOSS, COLLAPSED_STD, POINT_STD
from simsiam_tf.errors import names_its_options
from simsiam_tf.optim import SGD

_log = logging.getLogger(__name__)

# A network whose loss is so near to that of chance for so many steps has learned nothing.
_NEAR_CHANCE, _STEPS = 0.05, 100


@names_its_options
class CollapseMonitor(keras.callbacks.Callback):
    """Warns at the end of an epoch if the representations look collapsed, and stops training if the loss diverges.

    A loss near its minimum says nothing about a collapse. The standard deviation of z / |z| does (paper Sec. 4.1): the
    methods of this package log it as `z_std_scaled`, which is near 1 in a healthy run. The monitor warns if it is below
    0.1, or below 0.5 while the loss is below -0.9. It also warns once if the run does not learn. A run does not learn
    if its loss is exactly 0, if two epochs have exactly the same loss, or if the loss of two epochs is that of a
    network that finds views of an image no more alike than others.

    Args:
        advice: what to do when the loss is no longer finite, as the end of the error message.

    Raises:
        FloatingPointError: during training, if the loss is not finite, or if float16 gradients overflow even at the
            smallest loss scale.

    Example:
        >>> monitor = CollapseMonitor()
        >>> monitor.on_epoch_end(0, {"loss": -0.5, "z_std_scaled": 0.98})  # healthy: silent
    """

    def __init__(self, advice: str = "lower the learning rate, or raise it slowly in the first epochs") -> None:
        super().__init__()
        self._advice = advice
        self._last_loss: float | None = None
        self._warned_of_standstill = False
        self._epochs_of_chance = 0

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Stops training if the loss of a step is not finite."""
        logs = logs or {}
        loss = logs.get("loss", 0.0)
        if not math.isfinite(loss):
            raise FloatingPointError(f"The loss became {loss} at step {batch + 1} of an epoch; {self._advice}.")

        if logs.get("loss_scale") == SGD.LEAST_SCALE:
            raise FloatingPointError(
                "In float16 gradients overflow even when the loss is not scaled, so every step is skipped; "
                f"compute in bfloat16, or {self._advice}."
            )

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Warns if the epoch's means show a collapse, or no change at all."""
        logs = logs or {}
        self._check_standstill(epoch, logs.get("loss"), is_of_views="z_std_scaled" in logs)
        self._check_chance(epoch, logs.get("loss"))
        std, loss = logs.get("z_std_scaled", 1.0), logs.get("loss", 0.0)
        if (std < COLLAPSED_STD and loss < COLLAPSED_LOSS) or std < POINT_STD:
            _log.warning(
                "epoch %d: the representations look collapsed: loss %.3f with z_std_scaled %.3f (healthy: near 1). "
                "Check what keeps them apart: stop-gradient, predictor, negatives (paper Sec. 4.1, 4.2, 6.2).",
                epoch + 1,
                loss,
                std,
            )

    def _check_standstill(self, epoch: int, loss: float | None, is_of_views: bool) -> None:
        """Warns once if the loss is constant. A classifier's loss of 0 is a success, but that of views is none."""
        stands = loss is not None and ((loss == 0 and is_of_views) or loss == self._last_loss)
        if stands and not self._warned_of_standstill:
            self._warned_of_standstill = True
            _log.warning(
                "epoch %d: the run does not learn: its loss is exactly %g%s, so the gradients are 0; %s.",
                epoch + 1,
                loss,
                ", as in the epoch before" if loss == self._last_loss else "",
                self._advice,
            )
        self._last_loss = loss

    def _check_chance(self, epoch: int, loss: float | None) -> None:
        """Warns once if two epochs have the loss of a network that has learned nothing."""
        chance = getattr(self.model, "chance_loss", None)
        is_chance = loss is not None and chance is not None and abs(loss - chance) < _NEAR_CHANCE
        self._epochs_of_chance = self._epochs_of_chance + 1 if is_chance else 0
        steps = self._epochs_of_chance * ((self.params or {}).get("steps") or 0)
        if self._epochs_of_chance >= 2 and steps >= _STEPS and not self._warned_of_standstill:
            self._warned_of_standstill = True
            _log.warning(
                "epoch %d: the run does not learn: its loss is %.3g, so that views of an image are no more alike than "
                "others; %s.",
                epoch + 1,
                loss,
                self._advice,
            )
