"""Precomputes the targets of coming steps, before those steps are trained (paper Sec. 5.2)."""

from collections.abc import Callable, Iterator
from typing import Any

import tensorflow as tf

from simsiam_tf.methods import SSLModel
from simsiam_tf.training.executor import Prepare


class Lookahead:
    """Precomputes targets for the steps of a window, if the method has targets that need it.

    Each batch of a window is made twice: here, and later for its training step. The two are the same. Keeping the
    batches of many steps would take much memory.

    Args:
        model: a compiled method.
        strategy: the distribution strategy that the model was made under.
        batches: a function that makes the distributed batches from a given step on.
        prepare: a function that each replica applies to its batch before the targets are computed.
        parts: the number of parts in which each global batch is computed.
        last_step: the number of steps of the run; a window that would reach beyond it is cut off there.
    """

    def __init__(
        self,
        model: SSLModel,
        strategy: tf.distribute.Strategy,
        *,
        batches: Callable[[int], Any],
        prepare: Prepare,
        parts: int,
        last_step: int,
    ) -> None:
        self._targets, self._batches, self._parts, self._last_step = model.targets, batches, parts, last_step
        self._iterator: Iterator[Any] | None = None

        def precompute(batch: dict[str, Any]) -> None:
            assert model.targets is not None  # without targets there is no window
            model.targets.precompute(model, prepare(batch))

        self._precompute = tf.function(lambda batch: strategy.run(precompute, args=(batch,)), autograph=False)

    def prepare(self, step: int, stop: Callable[[], bool]) -> bool:
        """Precomputes the targets of a whole window, if one begins at this step.

        Args:
            step: the next step to train.
            stop: a function that is called after each batch; if it returns true, the rest of the window is left out.

        Returns:
            Whether the step can be trained; false if the rest of the window was left out.
        """
        window = self._window(step)
        if not window or step != window.start:
            return True
        if self._iterator is None:
            self._iterator = iter(self._batches(step))  # the next window begins where this one ends
        for _ in range((min(window.stop, self._last_step) - step) * self._parts):
            self._precompute(next(self._iterator))
            if stop():
                return False
        return True

    def steps_until_next(self, step: int) -> int:
        """Returns how many steps can be trained from `step` on before targets must be precomputed again."""
        return (self._window(step).stop or self._last_step) - step

    def _window(self, step: int) -> range:
        """Returns the window of steps around `step`; empty if the step needs no precomputed targets."""
        return self._targets.lookahead_window(step) if self._targets is not None else range(0)
