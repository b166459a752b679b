"""Tensor operations that several losses use."""

import tensorflow as tf

_SMALLEST_NORM = 1e-4


def at_least_float32(x: tf.Tensor) -> tf.Tensor:
    """Casts half-precision tensors to float32; float32 and float64 stay as they are."""
    return tf.cast(x, tf.float64 if x.dtype == tf.float64 else tf.float32)


def normalize(x: tf.Tensor) -> tf.Tensor:
    """Scales each row to length 1: x / |x|.

    A row shorter than 1e-4 becomes x / 1e-4 instead. That bounds the gradient at 1e4, even at a row of zeros, where the
    gradient of x / |x| is unbounded. The outputs of a network in training are far longer: with d = 2048 and unit
    variance |z| is about 45.

    Args:
        x: rows to scale, `[B, d]`.

    Returns:
        `[B, d]`, in at least float32.
    """
    x = at_least_float32(x)
    square = tf.reduce_sum(tf.square(x), axis=-1, keepdims=True)  # [B, 1]
    return x * tf.math.rsqrt(tf.maximum(square, _SMALLEST_NORM**2))
