import numpy as np
import pytest

from simsiam_tf.errors import UsageError
from simsiam_tf.evaluation.comparison.bootstrap import FEWEST_DIFFERING, Accuracy, Difference, interval


def hits(right, count):
    return np.arange(count) < right


@pytest.mark.parametrize("level", [0.5, 0.95, 0.9875])
def test_intervals_are_those_of_resampled_images(rng, level):
    """Image by image, which the multinomial counts replace."""
    gained = rng.permutation(np.repeat([-1, 0, 1], [40, 200, 60]))
    means = gained[rng.integers(0, 300, (40_000, 300))].mean(axis=1)
    expected = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    np.testing.assert_allclose(interval(gained, level), expected, atol=1.01 / 300)
    width = np.diff(interval(gained, level)).item()
    assert width == pytest.approx(np.diff(expected).item(), abs=2.01 / 300)


def test_an_accuracy_has_the_interval_of_the_binomial():
    accuracy = Accuracy.from_hits(hits(250, 1000))
    assert accuracy.top1 == 25
    half = 196 * np.sqrt(0.25 * 0.75 / 1000)
    assert [accuracy.low, accuracy.high] == pytest.approx([25 - half, 25 + half], abs=0.15)
    assert accuracy == Accuracy.from_hits(hits(250, 1000)[::-1])  # neither chance nor the order counts


@pytest.mark.parametrize(
    ("right", "count", "low", "high"), [(24, 24, 86.2, 100), (0, 24, 0, 13.8), (1, 2, 9.45, 90.55)]
)
def test_an_accuracy_of_all_or_none_has_a_width(right, count, low, high):
    accuracy = Accuracy.from_hits(hits(right, count))
    assert [accuracy.low, accuracy.high] == pytest.approx([low, high], abs=0.05)
    assert 0 <= accuracy.low <= accuracy.top1 <= accuracy.high <= 100


def test_pairs_tell_apart_what_two_intervals_do_not():
    own, other = hits(530, 1000), hits(500, 1000)
    difference = Difference.from_hits(own, other)
    assert Accuracy.from_hits(own).low < Accuracy.from_hits(other).high
    assert difference.points == pytest.approx(3)
    assert (difference.direction, Difference.from_hits(other, own).direction) == (1, -1)
    assert 1.9 < difference.low < difference.high < 4.2
    apart = Difference.from_hits(own, np.roll(other, 480))  # the same accuracies on other images
    assert apart.points == pytest.approx(3)
    assert apart.direction == 0
    assert apart.high - apart.low > 3 * (difference.high - difference.low)


def test_a_wider_interval_decides_less():
    own, other = hits(61, 500), np.roll(hits(39, 500), 61)  # 61 gained and 39 lost: 2.2 standard errors
    assert Difference.from_hits(own, other, 0.95).direction == 1
    strict = Difference.from_hits(own, other, 0.9875)
    assert strict.direction == 0
    assert strict.low > 0  # what is shown stays at 95 %


def test_a_handful_of_images_tells_nothing():
    for count, direction in ((FEWEST_DIFFERING - 1, 0), (FEWEST_DIFFERING, 1)):
        nothing = np.zeros(count, bool)
        assert Difference.from_hits(~nothing, nothing).direction == direction
        assert Difference.from_hits(nothing, ~nothing).direction == -direction


def test_no_image_is_refused():
    with pytest.raises(UsageError, match=r"at least one test image\. Received: none"):
        interval(np.zeros(0))


def test_the_seed_is_fixed():
    values = np.repeat([0.1, 0.37, 0.9], [1000, 2000, 1500])  # means of these are rarely equal
    assert interval(values) == interval(values)
