"""Watches a run: names its state, warns if it is not healthy, and can stop it."""

import logging
import math
from typing import Any

import keras

from simsiam_tf.config.run import OnCollapse
from simsiam_tf.errors import check_choice, names_its_options
from simsiam_tf.guard.causes import State
from simsiam_tf.guard.facts import Facts, facts_of_model
from simsiam_tf.guard.states import Judge
from simsiam_tf.guard.windows import Windows, window_steps
from simsiam_tf.guard.words import warning
from simsiam_tf.methods.base import LEFT_OUT
from simsiam_tf.optim import SGD

_log = logging.getLogger(__name__)


@names_its_options
class CollapseMonitor(keras.callbacks.Callback):
    """Names the state of a run about a hundred times in its course, and warns once of each state that is not healthy.

    A loss near its minimum says nothing about a collapse (paper Sec. 4.1). The monitor therefore reads what the methods
    of this package measure in each step: the spread of z and of the features, the loss and the length of the gradient;
    and kNN, where a `KNNMonitor` before it measures that. docs/troubleshooting.md shows the states, and
    docs/results/guard.md how often they are named rightly.

    Args:
        advice: what to do when the loss is no longer finite, as the end of the error message.
        on_collapse: `warn`; `stop`, which also ends training, as `model.stop_training`; or `ignore`.
        facts: the settings of the run, by which causes are ordered; by default those that the model knows.
        max_skipped_steps: the number of steps whose loss or gradient may be not finite.
        state: the state to begin with, as of a run that is resumed.
        first_loss: the loss that such a run began with, as its `first_loss` was.

    Attributes:
        state: the state of the run, such as `healthy` or `collapsed to a point`.
        first_loss: the loss that the run began with, unless it is a cosine, whose scale is known.

    Raises:
        FloatingPointError: during training, if a loss or a gradient is not finite, or if float16 gradients overflow
            even at the smallest loss scale.

    Example:
        >>> monitor = CollapseMonitor(on_collapse="stop")
        >>> monitor.state  # model.fit(..., callbacks=[monitor]) changes it
        <State.HEALTHY: 'healthy'>
    """

    def __init__(
        self,
        advice: str = "lower the learning rate, or raise it slowly in the first epochs",
        on_collapse: OnCollapse = "warn",
        facts: Facts | None = None,
        max_skipped_steps: int = 0,
        state: str = State.HEALTHY,
        first_loss: float | None = None,
    ) -> None:
        super().__init__()
        check_choice("on_collapse", on_collapse, ("warn", "stop", "ignore"))
        self._advice, self._on_collapse, self._facts = advice, on_collapse, facts
        self._max_skipped, self._skipped, self._skipped_before = max_skipped_steps, 0, 0
        self._warned: set[State] = set()
        self._begin(State(state), first_loss)

    def _begin(self, state: State, first_loss: float | None) -> None:
        epochs, steps = (self.params or {}).get("epochs") or 0, (self.params or {}).get("steps") or 0
        self._total, self._before_epoch, self._step = epochs * steps, 0, 0
        facts = self._facts or facts_of_model(self.model)
        self._known, self._judge = facts, Judge(facts, self._total, state, first_loss)
        self._windows = Windows(window_steps(self._total))
        self._measured: dict[str, float] = {}

    @property
    def state(self) -> State:
        """Returns the state of the run."""
        return self._judge.state

    @property
    def first_loss(self) -> float | None:
        """Returns the loss that the run began with; `None` if it is not needed to go on, or not known."""
        return None if self._known.loss_is_cosine else self._judge.first_loss

    def on_train_begin(self, logs: Any = None) -> None:
        """Takes the length of the run from Keras."""
        self._begin(self.state, self._judge.first_loss)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Notes that the means of the logs begin anew."""
        self._before_epoch = epoch * ((self.params or {}).get("steps") or 0) or self._step
        self._windows.begin_epoch()
        self._skipped += self._skipped_before
        self._skipped_before = 0

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Judges the run at the end of a window; stops training if a loss or a gradient is not finite."""
        logs = logs or {}
        self._step = self._before_epoch + batch + 1
        self._check_finite(batch, logs)
        window = self._windows.add(self._step, batch + 1, logs)
        if window is not None:
            self._measured |= window.means
            self._judge.add_window(window)
            self._say()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Judges the run by the epoch's means, and by kNN if it was measured."""
        logs = logs or {}
        self._measured |= {name: logs[name] for name in ("loss", "knn_top1") if name in logs}
        self._judge.add_epoch(self._step, logs)
        self._say()

    def _say(self) -> None:
        """Warns of a state once, and asks Keras to end training if that is wanted."""
        if self.state is State.HEALTHY or self._on_collapse == "ignore":
            return
        if self.state not in self._warned:
            self._warned.add(self.state)
            _log.warning(warning(self.state, self._step, self._total, self._measured, self._known))
        if self._on_collapse == "stop" and self.model is not None:
            self.model.stop_training = True

    def _check_finite(self, batch: int, logs: dict[str, float]) -> None:
        """Raises an error if more steps than allowed are not finite, or float16 cannot go on."""
        if logs.get("loss_scale") == SGD.LEAST_SCALE:
            raise FloatingPointError(
                "In float16 gradients overflow even when the loss is not scaled, so every step is skipped; "
                f"compute in bfloat16, or {self._advice}."
            )
        loss, scales = logs.get("loss", 0.0), "loss_scale" in logs
        self._skipped_before = 0 if scales else int(logs.get(LEFT_OUT, 0))
        if not math.isfinite(loss) or self._skipped + self._skipped_before > self._max_skipped:
            what = "loss" if not math.isfinite(loss) else "loss or the gradient"
            value = loss if not math.isfinite(loss) else "a number that is not finite"
            raise FloatingPointError(f"The {what} became {value} at step {batch + 1} of an epoch; {self._advice}.")
