"""Pure functions that judge representations without labels; the collapse monitor and the diagnostics share them."""

import numpy as np
import tensorflow as tf

from simsiam_tf import distribute

_PAIRS_CHUNK = 2048


def scaled_std(z: tf.Tensor) -> tf.Tensor:
    """Standard deviation of z / |z| over the global batch, mean over channels, times sqrt(d).

    1 for directions spread evenly over the sphere, 0 after a collapse (paper Sec. 4.1, Fig. 2 middle).

    Args:
        z: `[B, d]`, the share of this replica.

    Returns:
        A scalar in at least float32.
    """
    z = tf.cast(z, tf.float64 if z.dtype == tf.float64 else tf.float32)
    unit = tf.stop_gradient(tf.math.l2_normalize(z, axis=-1))
    moments = tf.stack([tf.reduce_mean(unit, 0), tf.reduce_mean(tf.square(unit), 0)])  # [2, d]
    mean, mean_square = tf.unstack(distribute.all_reduce_mean(moments))
    std = tf.sqrt(tf.maximum(mean_square - tf.square(mean), 0.0))  # [d]
    return tf.reduce_mean(std) * tf.sqrt(tf.cast(tf.shape(z)[-1], z.dtype))


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
        x: representations, `[N, d]`, N at least 2.
    """
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


def _unit(x):
    return x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)
