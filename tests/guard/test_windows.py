import math

import pytest

from simsiam_tf.guard.windows import Window, Windows, window_steps


def running_means(values):
    return [sum(values[: i + 1]) / (i + 1) for i in range(len(values))]


@pytest.mark.parametrize("every", [1, 2])
def test_windows_hold_the_means_of_their_own_steps(every):
    """Also where Keras calls once for several steps."""
    windows, losses, found = Windows(4), [5.0, 1, 2, 4, 8, 16, 3, 1, 7, 7], []
    for epoch in range(2):
        windows.begin_epoch()
        for i, mean in enumerate(running_means(losses)):
            if (i + 1) % every == 0:
                found.append(windows.add(10 * epoch + i + 1, i + 1, {"loss": mean}))
    found = [window for window in found if window]
    assert [window.step for window in found] == [4, 8, 12, 16, 20]
    for window in found:  # the third is of two epochs
        assert window.means["loss"] == pytest.approx(sum((losses * 2)[window.step - 4 : window.step]) / 4)


@pytest.mark.parametrize(("epochs", "steps"), [(15, 4), (100, 97), (120, 6), (200, 39), (800, 97), (3, 1), (1, 500)])
def test_a_run_of_any_shape_is_judged(epochs, steps):
    total = epochs * steps
    windows, found = Windows(window_steps(total)), []
    for epoch in range(epochs):
        windows.begin_epoch()
        found += [windows.add(epoch * steps + i + 1, i + 1, {"loss": 2.0}) for i in range(steps)]
    found = [window for window in found if window]
    assert len(found) == total // window_steps(total)
    assert all(window.means == {"loss": pytest.approx(2.0)} for window in found)


def test_what_is_not_finite_in_a_part_of_a_window_is_not_in_it():
    windows = Windows(4)
    windows.begin_epoch()
    assert windows.add(2, 2, {"loss": math.nan, "z_rank": 2.0}) is None
    windows.begin_epoch()
    assert windows.add(4, 2, {"loss": 1.0, "z_rank": 4.0}) == Window(4, {"z_rank": 3.0})


def test_what_is_not_finite_is_in_no_window():
    windows = Windows(1)
    windows.begin_epoch()
    assert windows.add(1, 1, {"loss": math.nan, "z_rank": 2.0}) == Window(1, {"z_rank": 2.0})


def test_a_run_has_about_a_hundred_windows():
    assert [window_steps(n) for n in (0, 8, 240, 500, 100_000)] == [5, 5, 5, 5, 1000]
