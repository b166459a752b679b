"""Computes the loss of Barlow Twins: z1 and z2 should correlate channel by channel (Zbontar et al. 2021, Eq. 1)."""

from collections.abc import Callable

import tensorflow as tf

from simsiam_tf.losses.common import at_least_float32


def barlow_twins_loss(
    z1: tf.Tensor,
    z2: tf.Tensor,
    redundancy_weight: float = 0.005,
    all_mean: Callable[[tf.Tensor], tf.Tensor] = tf.identity,
) -> tf.Tensor:
    """Computes sum (1 - C_ii)^2 + lambda sum C_ij^2, where C_ij is the mean over images of z1_i z2_j (Eq. 1 and 2).

    Args:
        z1: projector outputs of view 1, `[B, d]`, with mean 0 and variance 1 of each channel over the global batch.
        z2: projector outputs of view 2, `[B, d]`, with the same mean and variance.
        redundancy_weight: lambda.
        all_mean: a function that averages over replicas, if each has rows of its own.

    Returns:
        A scalar: this loss belongs to a batch, not to an image.

    Example:
        >>> import numpy as np
        >>> z = np.array([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
        >>> float(barlow_twins_loss(z, z))
        0.0
    """
    z1, z2 = at_least_float32(z1), at_least_float32(z2)
    c = all_mean(tf.matmul(z1, z2, transpose_a=True) / tf.cast(tf.shape(z1)[0], z1.dtype))  # [d, d]
    diagonal = tf.linalg.diag_part(c)
    off_diagonal = tf.reduce_sum(tf.square(c)) - tf.reduce_sum(tf.square(diagonal))
    return tf.reduce_sum(tf.square(1.0 - diagonal)) + redundancy_weight * off_diagonal
