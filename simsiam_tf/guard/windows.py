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

    A window may reach over several epochs: a hundredth of a run of 800 epochs is 8 of them.

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
        self._begun = _Running()  # where the window begins in this epoch
        self._now = _Running()
        self._earlier = _Running()  # the part of the window in earlier epochs

    def begin_epoch(self) -> None:
        """Notes that the running means begin anew. An unfinished window goes on."""
        self._earlier = self._earlier.and_then(self._now.since(self._begun))
        self._begun = self._now = _Running()

    def add(self, step: int, done: int, logs: Mapping[str, float]) -> Window | None:
        """Takes in the running means after a step; returns a window if one is complete.

        Args:
            step: the number of steps of the run so far.
            done: the number of steps of the epoch so far.
            logs: the means over these steps.
        """
        self._now = _Running(done, {name: value * done for name, value in logs.items() if math.isfinite(value)})
        window = self._earlier.and_then(self._now.since(self._begun))
        if window.count < self._steps:
            return None
        self._begun, self._earlier = self._now, _Running()
        return Window(step, {name: total / window.count for name, total in window.sums.items()})


@dataclasses.dataclass(frozen=True)
class _Running:
    """Holds the sums of the logs over some steps; a log that was not finite in every one of them is left out."""

    count: int = 0
    sums: Mapping[str, float] = dataclasses.field(default_factory=dict)

    def since(self, before: "_Running") -> "_Running":
        """Returns the sums over the steps after others, which these sums include."""
        sums = {name: total - before.sums.get(name, 0.0) for name, total in self.sums.items()}
        return _Running(self.count - before.count, sums)

    def and_then(self, later: "_Running") -> "_Running":
        """Returns the sums over these steps and later ones."""
        if not self.count or not later.count:
            return later if later.count else self
        both = self.sums.keys() & later.sums.keys()
        return _Running(self.count + later.count, {name: self.sums[name] + later.sums[name] for name in both})
