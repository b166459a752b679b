"""Estimates how far accuracies, and differences of accuracies, hang on the choice of test images."""

import dataclasses
import math
import statistics

import numpy as np

from simsiam_tf.errors import check

RESAMPLES = 100_000
LEVEL = 0.95
_SEED = 0
# On fewer images than these, the resamples are too much alike: of 3 images, one resample in 9 repeats a single one.
FEWEST_DIFFERING = 20


def interval(values: np.ndarray, level: float = LEVEL) -> tuple[float, float]:
    """Computes the percentile interval of a mean over images by the bootstrap.

    A resample draws M of the M images with replacement, and takes their mean. It hangs only on how often each value is
    drawn. These counts are multinomial, so they are drawn in place of the images. That is the same bootstrap, and needs
    no array of resamples by images. The seed is fixed.

    Args:
        values: a value of each of M images, of which few differ, such as hits; `[M]`.
        level: the share of the resamples whose means lie in the interval.

    Returns:
        The lower and the upper end.

    Raises:
        UsageError: if there is no image.

    Example:
        low, high = interval(hits)
    """
    check(len(values) > 0, "An interval needs at least one test image.", "none")
    kinds, counts = np.unique(np.asarray(values, np.float64), return_counts=True)
    drawn = np.random.default_rng(_SEED).multinomial(len(values), counts / len(values), size=RESAMPLES)  # [R, kinds]
    low, high = np.quantile(drawn @ kinds / len(values), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def wilson_interval(right: int, count: int) -> tuple[float, float]:
    """Computes Wilson's 95 % score interval of a share.

    The bootstrap would give an interval without any width if all images are right, or none.

    Args:
        right: the number of images that are classified rightly.
        count: the number of images.

    Returns:
        The lower and the upper end, from 0 to 1.

    Raises:
        UsageError: if there is no image.

    Example:
        >>> [round(end, 2) for end in wilson_interval(24, 24)]
        [0.86, 1.0]
    """
    check(count > 0, "An interval needs at least one test image.", "none")
    z = statistics.NormalDist().inv_cdf((1 + LEVEL) / 2)
    share, widening = right / count, z * z / count
    half = z * math.sqrt(share * (1 - share) / count + widening / (4 * count))
    low, high = ((share + widening / 2 + end) / (1 + widening) for end in (-half, half))
    return max(0.0, low), min(1.0, high)


@dataclasses.dataclass(frozen=True)
class Accuracy:
    """Holds an accuracy with its 95 % interval, percent.

    Attributes:
        top1: the share of the test images that are classified rightly.
        low: the lower end of the interval.
        high: the upper end.
    """

    top1: float
    low: float
    high: float

    @classmethod
    def from_hits(cls, hits: np.ndarray) -> "Accuracy":
        """Computes an accuracy from the hits of the test images, `[M] bool`."""
        low, high = wilson_interval(int(np.count_nonzero(hits)), len(hits))
        return cls(100 * float(np.mean(hits)), 100 * low, 100 * high)


@dataclasses.dataclass(frozen=True)
class Difference:
    """Holds a difference of two networks' accuracies on the same test images, in percentage points.

    Attributes:
        points: the accuracy of the run less that of the other network.
        low: the lower end of the 95 % interval.
        high: its upper end.
        direction: 1 if the run is better, -1 if it is worse, 0 if that cannot be told.
    """

    points: float
    low: float
    high: float
    direction: int

    @classmethod
    def from_hits(cls, own: np.ndarray, other: np.ndarray, level: float = LEVEL) -> "Difference":
        """Compares two networks by their hits on the same images, which every resample draws for both.

        The direction is told if the interval of the given level leaves out zero. It is never told if the networks
        differ on fewer than `FEWEST_DIFFERING` images.

        Args:
            own: the hits of the run, `[M] bool`.
            other: the hits of the other network, `[M] bool`, in the same order.
            level: the level of the interval that tells the direction.
        """
        gained = own.astype(np.int64) - other.astype(np.int64)
        low, high = interval(gained)
        lowest, highest = interval(gained, level)
        is_told = np.count_nonzero(gained) >= FEWEST_DIFFERING
        direction = int(is_told and lowest > 0) - int(is_told and highest < 0)
        return cls(100 * float(np.mean(gained)), 100 * low, 100 * high, direction)
