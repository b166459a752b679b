"""Measures how spread out representations are, which shows a collapse (paper Sec. 4.1)."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from simsiam_tf.distribute import collectives
from simsiam_tf.losses.common import at_least_float32

# Directions are counted in a random subspace of so many dimensions, where their second moments are cheap to send.
_SUBSPACE = 64


class Spread(NamedTuple):
    """Holds what `spread` measures of x / |x| over the global batch; each is a scalar.

    Attributes:
        std: the standard deviation, averaged over channels, times sqrt(d). It is 1 for directions spread evenly over
            the sphere, and 0 after a collapse (paper Sec. 4.1, Fig. 2 middle).
        mean_length: the length of the mean. It is 0 for directions spread evenly, and 1 if all are one direction.
        rank: the number of directions in which x / |x| varies around its mean: the squared sum of the variances along
            the principal directions, divided by the sum of their squares ("participation ratio"). It is 1 if all
            points lie on a line. It is measured in a random subspace of 64 dimensions at most, so it cannot be higher.
    """

    std: tf.Tensor
    mean_length: tf.Tensor
    rank: tf.Tensor


def spread(x: tf.Tensor) -> Spread:
    """Measures how spread out the directions x / |x| are over the global batch.

    Args:
        x: `[B, d]`, the share of this replica.

    Returns:
        Three scalars in at least float32.
    """
    x = at_least_float32(x)
    unit = tf.stop_gradient(tf.math.l2_normalize(x, axis=-1))
    d = unit.shape[-1]
    inside = unit if d <= _SUBSPACE else tf.matmul(unit, tf.constant(_subspace(d), unit.dtype))  # [B, k]
    k = inside.shape[-1]
    count = tf.cast(tf.shape(x)[0], x.dtype)
    second = tf.matmul(inside, inside, transpose_a=True) / count  # [k, k]
    moments = [tf.reduce_mean(unit, 0), tf.reduce_mean(tf.square(unit), 0), tf.reduce_mean(inside, 0)]
    packed = collectives.all_reduce_mean(tf.concat([*moments, tf.reshape(second, [-1])], 0))  # one message
    mean, mean_square, mean_inside, second = tf.split(packed, [d, d, k, k * k])
    std = tf.reduce_mean(tf.sqrt(tf.maximum(mean_square - tf.square(mean), 0.0))) * d**0.5
    covariance = tf.reshape(second, [k, k]) - mean_inside[:, tf.newaxis] * mean_inside
    squares = tf.reduce_sum(tf.square(covariance))
    rank = tf.math.divide_no_nan(tf.square(tf.linalg.trace(covariance)), squares)
    return Spread(std, tf.norm(mean), rank)


def scaled_std(z: tf.Tensor) -> tf.Tensor:
    """Measures the standard deviation of z / |z| over the global batch, as `Spread.std`.

    Args:
        z: `[B, d]`, the share of this replica.

    Returns:
        A scalar in at least float32.
    """
    return spread(z).std


def spread_logs(z: Sequence[tf.Tensor], features: tf.Tensor) -> dict[str, tf.Tensor]:
    """Measures z of each view, and the features of the first one.

    Args:
        z: the projector's output for each view, `[B, d]` each.
        features: the backbone's output for the first view, `[B, D]`.

    Returns:
        `z_std_scaled` and `z_mean_length`, each the mean over the views; `z_rank`, and `feature_rank`.
    """
    of_views = [spread(view) for view in z]
    return {
        "z_std_scaled": tf.add_n([view.std for view in of_views]) / len(of_views),
        "z_mean_length": tf.add_n([view.mean_length for view in of_views]) / len(of_views),
        "z_rank": of_views[0].rank,
        "feature_rank": spread(features).rank,
    }


def _subspace(d: int) -> np.ndarray:
    """Returns random directions, `[d, 64]`, the same ones for each d."""
    return np.random.default_rng(d).standard_normal((d, _SUBSPACE)) / _SUBSPACE**0.5
