"""Measures how spread out z is, which shows a collapse (paper Sec. 4.1)."""

import tensorflow as tf

from simsiam_tf.distribute import collectives
from simsiam_tf.losses.common import at_least_float32


def scaled_std(z: tf.Tensor) -> tf.Tensor:
    """Measures the standard deviation of z / |z| over the global batch: its mean over channels, times sqrt(d).

    It is 1 for directions spread evenly over the sphere, and 0 after a collapse (paper Sec. 4.1, Fig. 2 middle).

    Args:
        z: `[B, d]`, the share of this replica.

    Returns:
        A scalar in at least float32.
    """
    z = at_least_float32(z)
    unit = tf.stop_gradient(tf.math.l2_normalize(z, axis=-1))
    moments = tf.stack([tf.reduce_mean(unit, 0), tf.reduce_mean(tf.square(unit), 0)])  # [2, d]
    mean, mean_square = tf.unstack(collectives.all_reduce_mean(moments))
    std = tf.sqrt(tf.maximum(mean_square - tf.square(mean), 0.0))  # [d]
    return tf.reduce_mean(std) * tf.sqrt(tf.cast(tf.shape(z)[-1], z.dtype))
