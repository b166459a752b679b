"""Pure functions of features and scores: how often a label is right, and what features are like without labels."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from simsiam_tf.errors import check

_PAIRS_CHUNK = 2048


def top_k_hits(scores: tf.Tensor, labels: tf.Tensor, k: int) -> tf.Tensor:
    """Tells whether each label is among the k classes with the highest scores. Ties never help.

    A class counts as ahead of the label's if its score is at least as high. A label whose score is not finite is never
    a hit: minus infinity marks a class that is no answer at all. A row with a NaN has no hit either.

    Args:
        scores: `[M, K]`, a score for each class.
        labels: `[M]`, the right classes.
        k: number of guesses.

    Returns:
        `[M] bool`.
    """
    own = tf.gather(scores, tf.cast(labels, tf.int32)[:, tf.newaxis], batch_dims=1)  # [M, 1]
    ahead = tf.reduce_sum(tf.cast(scores >= own, tf.int32), axis=1) - 1  # not counting itself
    is_answer = tf.math.is_finite(own[:, 0]) & ~tf.reduce_any(tf.math.is_nan(scores), axis=1)
    return (ahead < k) & is_answer


def count_hits(scores: tf.Tensor, labels: tf.Tensor, ks: Sequence[int] = (1, 5)) -> np.ndarray:
    """Counts the labels that are among the k best classes, for each k.

    Args:
        scores: `[M, K]`, as for `top_k_hits`.
        labels: `[M]`.
        ks: numbers of guesses.

    Returns:
        `[len(ks)]`, whole numbers.

    Raises:
        FloatingPointError: if a score is NaN: a network that gives it cannot be judged.
    """
    if np.isnan(scores).any():
        raise FloatingPointError("A class score is not a number, so accuracy cannot be measured; look at the loss.")
    return np.array([np.sum(top_k_hits(scores, labels, k)) for k in ks])


def percent(hits: np.ndarray, count: int) -> np.ndarray:
    """Turns numbers of hits into accuracies in percent.

    Args:
        hits: of any shape.
        count: number of images that were judged.

    Raises:
        UsageError: if no image was judged.
    """
    check(count > 0, "Accuracy needs at least one readable image to be judged on.", "none")
    return 100.0 * np.asarray(hits) / count


def finite(x: np.ndarray, what: str) -> np.ndarray:
    """Returns an array whose numbers are all finite.

    Args:
        x: of any shape.
        what: one number of it, for the message.

    Raises:
        FloatingPointError: if one is not: comparisons with it would be false, and averages of it no numbers.
    """
    if not np.isfinite(x).all():
        raise FloatingPointError(f"A {what} is not a finite number, so nothing can be judged by it; look at the loss.")
    return x


def alignment(x: np.ndarray, y: np.ndarray) -> float:
    """Mean squared distance of the two views' directions: 0 where they agree, 2 where unrelated (Wang & Isola 2020).

    Args:
        x: representations of one view of each image, `[N, d]`.
        y: of another view of the same images.
    """
    return float(np.mean(np.sum(np.square(_unit(x) - _unit(y)), axis=1)))


def uniformity(x: np.ndarray) -> float:
    """log of the mean of exp(-2 |u - v|^2) over all pairs of directions (Wang & Isola 2020).

    0 where all are equal; the lower, the more evenly they are spread, down to about -4.

    Args:
        x: representations, `[N, d]`.

    Raises:
        UsageError: if N is below 2: there is no pair.
    """
    check(len(x) >= 2, "Uniformity compares images with each other, so it needs at least two of them.", len(x))
    unit = tf.constant(_unit(x))
    total, count = 0.0, len(unit)
    for start in range(0, count, _PAIRS_CHUNK):
        cosines = tf.matmul(unit[start : start + _PAIRS_CHUNK], unit, transpose_b=True)
        total += float(tf.reduce_sum(tf.exp(tf.cast(-4.0 * (1.0 - cosines), tf.float64))))  # |u - v|^2 = 2 - 2 u.v
    return float(np.log(max(total - count, 1e-300) / (count * (count - 1))))  # without the pairs of one and the same


def spectrum(x: np.ndarray) -> np.ndarray:
    """Singular values of the centred representations `[N, d]`, the greatest first, by the root of N: `[d]`.

    Each is the standard deviation along one principal direction.
    """
    centred = x.astype(np.float64) - x.mean(axis=0, dtype=np.float64)
    variances = np.linalg.eigvalsh(centred.T @ centred / len(x))[::-1]
    return np.sqrt(np.maximum(variances, 0.0))


def effective_rank(singular_values: np.ndarray) -> float:
    """exp of the entropy of the singular values' shares of their sum (Roy & Vetterli 2007): how many matter.

    d where all are equal, 1 where all but one are 0; 0 where all are.

    Args:
        singular_values: `[d]`.
    """
    total = singular_values.sum()
    if total <= 0:
        return 0.0
    shares = singular_values / total
    shares = shares[shares > 0]
    return float(np.exp(-np.sum(shares * np.log(shares))))


def dead_channels(x: np.ndarray, tolerance: float = 1e-4) -> int:
    """Channels of `[N, d]` that say nothing: their standard deviation is below a share of the channels' mean one."""
    std = x.std(axis=0, dtype=np.float64)
    return int(np.sum(std <= tolerance * max(std.mean(), np.finfo(np.float64).tiny)))


def _unit(x: np.ndarray) -> np.ndarray:
    return x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)
