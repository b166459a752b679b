"""Targets of coming steps, computed before those steps are trained (paper Sec. 5.2)."""

from collections.abc import Callable, Iterator
from typing import Any

import tensorflow as tf

from simsiam_tf.methods import SSLModel
from simsiam_tf.training.executor import Prepare


class Lookahead:
    """Shows a method's targets the batches of its next steps, if the targets want to see them.

    The batches are made a second time. They are the same, and keeping those of many steps would take more memory than
    making them again takes time.

    Args:
        model: a compiled method.
        strategy: the distribution strategy that the model was made under.
        batches: makes distributed batches from a step on.
        prepare: what each replica does to its batch first.
        parts: the number of parts that each batch is taken in.
        last_step: the end of the run; a window that reaches beyond it ends there.
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
            assert model.targets is not None  # else there is no window
            model.targets.precompute(model, prepare(batch))

        self._precompute = tf.function(lambda batch: strategy.run(precompute, args=(batch,)), autograph=False)

    def prepare(self, step: int, stop: Callable[[], bool]) -> bool:
        """Precomputes the targets of the window that begins at a step, if one does.

        Args:
            step: the next step to train.
            stop: asked after each batch whether to give up.

        Returns:
            Whether the step can be trained; false if the window was cut short.
        """
        window = self._window(step)
        if not window or step != window.start:
            return True
        if self._iterator is None:
            self._iterator = iter(self._batches(step))  # windows follow each other
        for _ in range((min(window.stop, self._last_step) - step) * self._parts):
            self._precompute(next(self._iterator))
            if stop():
                return False
        return True

    def steps_until_next(self, step: int) -> int:
        """Returns how many steps can be trained from a step on, until targets must be precomputed again."""
        return (self._window(step).stop or self._last_step) - step

    def _window(self, step: int) -> range:
        return self._targets.lookahead_window(step) if self._targets is not None else range(0)
