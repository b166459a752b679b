from types import SimpleNamespace

import pytest

from simsiam_tf.methods.simsiam_targets import CachedTargets, MovingAverageTargets, Targets
from simsiam_tf.training.lookahead import Lookahead


@pytest.fixture
def looking():
    """Makes a lookahead to the end of a run, and lists the steps whose batches its targets were shown."""
    shown = []

    def looking_ahead(targets, last_step):
        targets.precompute = lambda model, batch: shown.append(int(batch))
        return Lookahead(
            SimpleNamespace(targets=targets),
            SimpleNamespace(run=lambda function, args: function(*args)),
            batches=lambda start: range(start, 20),
            prepare=lambda batch: batch,
            parts=1,
            last_step=last_step,
        )

    return looking_ahead, shown


def never():
    return False


def test_windows_are_shown_before_their_first_step_and_end_with_the_run(looking):
    looking_ahead, shown = looking
    lookahead = looking_ahead(CachedTargets(3), last_step=8)
    assert lookahead.prepare(1, never)  # within a window, whose targets are in the checkpoint
    assert lookahead.steps_until_next(1) == 2
    assert not shown
    for step, steps in ((3, 3), (5, 1), (6, 3)):
        assert lookahead.prepare(step, never)
        assert lookahead.steps_until_next(step) == steps
    assert shown == [3, 4, 5, 6, 7]


def test_moving_targets_have_one_window_the_first_epoch(looking):
    looking_ahead, shown = looking
    lookahead = looking_ahead(MovingAverageTargets(0.8, first_steps=4), last_step=8)
    for step, steps in ((0, 4), (2, 2), (4, 4)):
        assert lookahead.prepare(step, never)
        assert lookahead.steps_until_next(step) == steps
    assert shown == [0, 1, 2, 3]
    again = looking_ahead(MovingAverageTargets(0.8, first_steps=4), last_step=8)
    assert again.prepare(2, never)
    assert shown == [0, 1, 2, 3]


def test_a_stop_cuts_a_window_short(looking):
    looking_ahead, shown = looking
    assert not looking_ahead(CachedTargets(3), last_step=9).prepare(3, lambda: True)
    assert shown == [3]


@pytest.mark.parametrize("targets", [None, Targets()])
def test_without_windows_the_run_is_one_stretch(looking, targets):
    looking_ahead, shown = looking
    lookahead = looking_ahead(targets or Targets(), last_step=9)
    assert lookahead.prepare(0, never)
    assert lookahead.steps_until_next(2) == 7
    assert not shown
