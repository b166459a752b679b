"""Judges a run: names its state from what its steps measure. docs/results/guard.md tells where thresholds come from.

No single number shows all that can go wrong. The loss of SimSiam is least after a collapse, and the standard deviation
of z stays high while z varies along one line only.
"""

import math
import statistics
from collections.abc import Mapping

from simsiam_tf.config.collapse import COLLAPSED_LOSS, COLLAPSED_STD, POINT_STD
from simsiam_tf.guard.causes import State
from simsiam_tf.guard.facts import Facts
from simsiam_tf.guard.windows import Window

# A state is named once so many windows agree.
_WINDOWS_TO_AGREE = 2
# Features that vary in more directions than this are alive.
_LIVE_RANK = 2.0
# z that varies in fewer directions than this varies along a line. If its mean is longer than this as well, all z are on
# their way to one point, long before the loss is at its minimum.
_LINE_RANK, _LONG_MEAN = 1.7, 0.5
# A gradient that is so many times the median of earlier windows grows without end.
_EXPLODED = 30.0
# Nothing is said of a loss that stands before this share of the run and this many steps.
_PATIENCE, _LEAST_STEPS = 0.2, 150
# The loss of a network that has learned nothing is so near to that of chance: in two windows after this patience, or in
# two epochs of so many steps.
_NEAR_CHANCE, _STEPS_AT_CHANCE = 0.05, 100
# After this share of the run, kNN must exceed that of the untrained network by a point, and by two standard deviations
# of chance. Otherwise the network learns something else, once that is so twice.
_KNN_PATIENCE, _KNN_GAIN, _KNN_DEVIATIONS, _KNN_TIMES = 0.4, 1.0, 2.0, 2
# A loss has fallen if it is below this cosine, or below this share of the first window's.
_FALLEN_COSINE, _FALLEN_SHARE = -0.5, 0.7


class Judge:
    """Names the state of a run after each window and each epoch.

    Args:
        facts: the settings of the run.
        total_steps: the number of steps of the run; 0 if that is not known.
        state: the state to begin with, as of a run that is resumed.
        first_loss: the loss of the first window of all, of a run that is resumed.

    Attributes:
        state: the state of the run: that of the windows unless it is healthy, else that of the epochs.
        first_loss: the loss of the first window of all; `None` before it.
    """

    def __init__(
        self,
        facts: Facts,
        total_steps: int = 0,
        state: State = State.HEALTHY,
        first_loss: float | None = None,
    ) -> None:
        self._facts, self._total = facts, total_steps
        self.state, self.first_loss = state, first_loss
        by_epochs = state in (State.NOT_LEARNING, State.SOMETHING_ELSE)
        self._of_windows, self._of_epochs = (State.HEALTHY, state) if by_epochs else (state, State.HEALTHY)
        self._candidate, self._agreeing = state, 0
        self._windows: list[Window] = []
        self._last_step, self._chance_since = 0, 0
        self._last_loss: float | None = None
        self._low_knn = _KNN_TIMES if state is State.SOMETHING_ELSE else 0

    def add_window(self, window: Window) -> State:
        """Takes in a window; returns the state after it."""
        found = self._of_window(window)
        self._windows.append(window)
        self.first_loss = window.means.get("loss") if self.first_loss is None else self.first_loss
        self._agreeing = self._agreeing + 1 if found is self._candidate else 1
        self._candidate = found
        if self._agreeing >= _WINDOWS_TO_AGREE:
            self._of_windows = found
        return self._joined()

    def add_epoch(self, step: int, logs: Mapping[str, float]) -> State:
        """Takes in the means of an epoch, with kNN if it was measured; returns the state after it.

        Args:
            step: the number of steps so far.
            logs: the means by name.
        """
        loss = logs.get("loss")
        if loss is not None:
            if self._stands_still(step, loss, is_of_views="z_std_scaled" in logs):
                self._of_epochs = State.NOT_LEARNING
            elif self._of_epochs is State.NOT_LEARNING:
                self._of_epochs = State.HEALTHY
            if "knn_top1" in logs and self._is_late(step, _KNN_PATIENCE):
                is_low = self._has_fallen(loss) and self._is_low(logs["knn_top1"])
                self._low_knn = self._low_knn + 1 if is_low else 0
                if self._of_epochs is not State.NOT_LEARNING:
                    self._of_epochs = State.SOMETHING_ELSE if self._low_knn >= _KNN_TIMES else State.HEALTHY
        self._last_step, self._last_loss = step, loss
        return self._joined()

    def _joined(self) -> State:
        self.state = self._of_epochs if self._of_windows is State.HEALTHY else self._of_windows
        return self.state

    def _stands_still(self, step: int, loss: float, is_of_views: bool) -> bool:
        """Returns whether the loss of epochs is the same to the bit, or that of chance in two epochs and many steps."""
        chance = self._facts.chance_loss
        if chance is None or abs(loss - chance) >= _NEAR_CHANCE:
            self._chance_since = step
        is_chance = self._chance_since < self._last_step and step - self._chance_since >= _STEPS_AT_CHANCE
        # A classifier's loss of 0 is a success, but that of views is none.
        return loss == self._last_loss or (loss == 0 and is_of_views) or is_chance

    def _is_low(self, accuracy: float) -> bool:
        """Returns whether kNN is that of the untrained network, as far as its images can tell."""
        untrained, images = self._facts.untrained_knn, self._facts.knn_images
        if untrained is None:
            return False
        chance = math.sqrt(untrained * (100 - untrained) / images) if images else 0.0
        return accuracy < untrained + max(_KNN_GAIN, _KNN_DEVIATIONS * chance)

    def _has_fallen(self, loss: float) -> bool:
        if self._facts.loss_is_cosine:
            return loss < _FALLEN_COSINE
        return self.first_loss is not None and loss < _FALLEN_SHARE * self.first_loss

    def _is_late(self, step: int, share: float) -> bool:
        """Returns whether a share of the run is over, which is not known of a run without an end."""
        return self._total > 0 and step >= max(_LEAST_STEPS, share * self._total)

    def _of_window(self, window: Window) -> State:
        """Returns the state that one window looks like."""
        means, facts = window.means, self._facts
        loss, std = means.get("loss"), means.get("z_std_scaled")
        if loss is None:
            return State.DIVERGING  # no step of the window was finite
        rank, length = means.get("z_rank", _LINE_RANK), means.get("z_mean_length", 0.0)
        is_cosine_at_end = facts.loss_is_cosine and loss < COLLAPSED_LOSS
        is_point = std is not None and (std < POINT_STD or (is_cosine_at_end and std < COLLAPSED_STD))
        if is_point or (rank < _LINE_RANK and length > _LONG_MEAN):
            lives = means.get("feature_rank", 0.0) > _LIVE_RANK and facts.bn_placement == "none"
            return State.DIRECTION if lives else State.POINT
        if rank < _LINE_RANK:
            return State.DIMENSIONAL
        if self._explodes(means):
            return State.DIVERGING
        if self._stands(window.step, loss):
            return State.NOT_LEARNING
        return State.HEALTHY

    def _explodes(self, means: Mapping[str, float]) -> bool:
        earlier = [w.means["gradient_norm"] for w in self._windows if "gradient_norm" in w.means]
        if len(earlier) < 5 or "gradient_norm" not in means:
            return False
        return means["gradient_norm"] > _EXPLODED * max(statistics.median(earlier), 1e-12)

    def _stands(self, step: int, loss: float) -> bool:
        """Returns whether the loss is that of chance after a part of the run."""
        chance = self._facts.chance_loss
        return chance is not None and self._is_late(step, _PATIENCE) and abs(loss - chance) < _NEAR_CHANCE
