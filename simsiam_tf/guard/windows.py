"""Divides a run into windows of a few steps, and averages what the steps measure over each."""

import dataclasses
import math
from collections.abc import Mapping

# A run is judged about so many times; a window is at least so many steps.
_WINDOWS, _LEAST_STEPS = 100, 5


def window_steps(total_steps: int) -> int:
    """Returns the number of steps in a window of a run: a hundredth of the run, and at least five.

    Args:
        total_steps: the number of steps in the run; 0 if that is not known.
    """
    return max(_LEAST_STEPS, total_steps // _WINDOWS)


@dataclasses.dataclass(frozen=True)
class Window:
    """Holds the means over the steps of one window.

    Attributes:
        step: the number of steps of the run up to the end of the window.
        means: the mean of each log by its name; a log that was not finite in every step is left out.
    """

    step: int
    means: Mapping[str, float]


class Windows:
    """Turns the running means of an epoch, which Keras and our loop log, into means over windows.

    Args:
        steps: the number of steps in a window.

    Example:
        >>> windows = Windows(steps=2)
        >>> windows.begin_epoch()
        >>> windows.add(step=1, done=1, logs={"loss": 4.0})  # the mean of step 1
        >>> windows.add(step=2, done=2, logs={"loss": 3.0})  # the mean of steps 1 and 2
        Window(step=2, means={'loss': 3.0})
    """

    def __init__(self, steps: int) -> None:
        self._steps = steps
        self._start = 0
        self._sums: dict[str, float] = {}

    def begin_epoch(self) -> None:
        """Notes that the running means begin anew."""
        self._start, self._sums = 0, {}

    def add(self, step: int, done: int, logs: Mapping[str, float]) -> Window | None:
        """Takes in the running means after a step; returns a window if one is complete.

        Args:
            step: the number of steps of the run so far.
            done: the number of steps of the epoch so far.
            logs: the means over these steps.
        """
        if done - self._start < self._steps:
            return None
        sums = {name: value * done for name, value in logs.items() if math.isfinite(value)}
        count = done - self._start
        means = {name: (total - self._sums.get(name, 0.0)) / count for name, total in sums.items()}
        self._start, self._sums = done, sums
        return Window(step, means)
