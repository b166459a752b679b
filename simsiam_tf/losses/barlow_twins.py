"""Barlow Twins' loss: the views' cross-correlation is to be the identity (Zbontar et al. 2021, Eq. 1 and 2)."""

from collections.abc import Callable

import tensorflow as tf


def barlow_twins_loss(
    z1: tf.Tensor,
    z2: tf.Tensor,
    redundancy_weight: float = 0.005,
    all_mean: Callable[[tf.Tensor], tf.Tensor] = tf.identity,
) -> tf.Tensor:
    """sum (1 - C_ii)^2 + lambda sum C_ij^2, where C_ij = mean over images of z1_i z2_j (Barlow Twins, Eq. 1 and 2).

    Args:
        z1: of view 1, `[B, d]`, with mean 0 and variance 1 of each channel over the global batch.
        z2: of view 2, likewise.
        redundancy_weight: lambda.
        all_mean: averages over replicas, where each has rows of its own.

    Returns:
        A scalar: this loss is of a batch, not of an image.
    """
    z1, z2 = (tf.cast(z, tf.float64 if z.dtype == tf.float64 else tf.float32) for z in (z1, z2))
    c = all_mean(tf.matmul(z1, z2, transpose_a=True) / tf.cast(tf.shape(z1)[0], z1.dtype))  # [d, d]
    diagonal = tf.linalg.diag_part(c)
    off_diagonal = tf.reduce_sum(tf.square(c)) - tf.reduce_sum(tf.square(diagonal))
    return tf.reduce_sum(tf.square(1.0 - diagonal)) + redundancy_weight * off_diagonal
