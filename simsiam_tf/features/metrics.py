"""Measures accuracy from class scores, and the quality of features without labels, by pure functions."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from simsiam_tf.errors import check

_PAIRS_CHUNK = 2048


def top_k_hits(scores: tf.Tensor, labels: tf.Tensor, k: int) -> tf.Tensor:
    """Computes whether each label is among the k classes with the highest scores. Ties never help.

    A class counts as ahead of the label if its score is at least as high. A label whose score is not finite is never a
    hit, because minus infinity marks a class that is no guess. A row with a NaN has no hit either.

    Args:
        scores: the score of each class, `[M, K]`.
        labels: the right classes, `[M]`.
        k: the number of guesses.

    Returns:
        `[M] bool`, true for a hit.
    """
    own = tf.gather(scores, tf.cast(labels, tf.int32)[:, tf.newaxis], batch_dims=1)  # [M, 1]
    ahead = tf.reduce_sum(tf.cast(scores >= own, tf.int32), axis=1) - 1  # less the label itself
    is_answer = tf.math.is_finite(own[:, 0]) & ~tf.reduce_any(tf.math.is_nan(scores), axis=1)
    return (ahead < k) & is_answer


def image_hits(scores: tf.Tensor, labels: tf.Tensor, ks: Sequence[int] = (1, 5)) -> np.ndarray:
    """Computes which labels are among the k classes with the highest scores, for each k.

    Args:
        scores: the score of each class, `[M, K]`; minus infinity marks a class that is no guess.
        labels: the right classes, `[M]`.
        ks: the numbers of guesses.

    Returns:
        `[len(ks), M] bool`, true for a hit.

    Raises:
        FloatingPointError: if a score is NaN.
    """
    if np.isnan(scores).any():
        raise FloatingPointError("A class score is not a number, so accuracy cannot be measured; look at the loss.")
    return np.stack([np.asarray(top_k_hits(scores, labels, k)) for k in ks])


def count_hits(scores: tf.Tensor, labels: tf.Tensor, ks: Sequence[int] = (1, 5)) -> np.ndarray:
    """Counts the labels that are among the k classes with the highest scores, for each k.

    Args:
        scores: the score of each class, `[M, K]`; minus infinity marks a class that is no guess.
        labels: the right classes, `[M]`.
        ks: the numbers of guesses.

    Returns:
        The numbers of hits, `[len(ks)]`.

    Raises:
        FloatingPointError: if a score is NaN.
    """
    return image_hits(scores, labels, ks).sum(axis=1)


def percent(hits: np.ndarray, count: int) -> np.ndarray:
    """Converts numbers of hits to accuracies in percent.

    Args:
        hits: numbers of hits, of any shape.
        count: the number of images that were classified.

    Returns:
        Accuracies in percent, of the shape of `hits`.

    Raises:
        UsageError: if no image was classified.
    """
    check(count > 0, "Accuracy needs at least one readable image to be judged on.", "none")
    return 100.0 * np.asarray(hits) / count


def finite(x: np.ndarray, what: str) -> np.ndarray:
    """Returns `x` unchanged after checking that all its numbers are finite.

    Args:
        x: an array of any shape.
        what: the name of one number in it, for the message.

    Raises:
        FloatingPointError: if a number is not finite.
    """
    if not np.isfinite(x).all():
        raise FloatingPointError(f"A {what} is not a finite number, so it cannot be evaluated; look at the run's loss.")
    return x


def alignment(x: np.ndarray, y: np.ndarray) -> float:
    """Computes the mean squared distance between the directions of two views (Wang & Isola 2020).

    It is 0 if the two views of each image agree, and 2 if they are unrelated.

    Args:
        x: representations of one view of each image, `[N, d]`.
        y: representations of another view of the same images, `[N, d]`.
    """
    return float(np.mean(np.sum(np.square(_unit(x) - _unit(y)), axis=1)))


def uniformity(x: np.ndarray) -> float:
    """Computes log(mean exp(-2 |u - v|^2)) over the directions u, v of all pairs of images (Wang & Isola 2020).

    It is 0 if all directions are equal. The lower it is, the more evenly they are spread, down to about -4.

    Args:
        x: representations, `[N, d]`.

    Raises:
        UsageError: if N is below 2, so that there is no pair.
    """
    check(len(x) >= 2, "Uniformity compares images with each other, so it needs at least two of them.", len(x))
    unit = tf.constant(_unit(x))
    total, count = 0.0, len(unit)
    for start in range(0, count, _PAIRS_CHUNK):
        cosines = tf.matmul(unit[start : start + _PAIRS_CHUNK], unit, transpose_b=True)
        total += float(tf.reduce_sum(tf.exp(tf.cast(-4.0 * (1.0 - cosines), tf.float64))))  # |u - v|^2 = 2 - 2 u.v
    return float(np.log(max(total - count, 1e-300) / (count * (count - 1))))  # less each image with itself, exp(0) = 1


def spectrum(x: np.ndarray) -> np.ndarray:
    """Computes the standard deviation of representations along each principal direction.

    These are the singular values of the centred representations, divided by sqrt(N).

    Args:
        x: representations, `[N, d]`.

    Returns:
        `[d] float64`, the greatest first.
    """
    centred = x.astype(np.float64) - x.mean(axis=0, dtype=np.float64)
    variances = np.linalg.eigvalsh(centred.T @ centred / len(x))[::-1]
    return np.sqrt(np.maximum(variances, 0.0))


def effective_rank(singular_values: np.ndarray) -> float:
    """Computes the effective rank (Roy & Vetterli 2007): how many of the singular values matter.

    It is exp(entropy) of the singular values divided by their sum: d if all are equal, 1 if all but one are 0. If all
    are 0, it is 0.

    Args:
        singular_values: the singular values, `[d]`, as from `spectrum`.
    """
    total = singular_values.sum()
    if total <= 0:
        return 0.0
    shares = singular_values / total
    shares = shares[shares > 0]
    return float(np.exp(-np.sum(shares * np.log(shares))))


def dead_channels(x: np.ndarray, tolerance: float = 1e-4) -> int:
    """Counts the channels that are nearly constant.

    Args:
        x: representations, `[N, d]`.
        tolerance: the greatest standard deviation of a dead channel, as a fraction of the channels' mean deviation.
    """
    std = x.std(axis=0, dtype=np.float64)
    return int(np.sum(std <= tolerance * max(std.mean(), np.finfo(np.float64).tiny)))


def _unit(x: np.ndarray) -> np.ndarray:
    return x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)
