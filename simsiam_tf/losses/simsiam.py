"""SimSiam's loss (paper Eq. 1 to 4, Alg. 1)."""

import tensorflow as tf

_SMALLEST_NORM = 1e-4


def normalize(x: tf.Tensor) -> tf.Tensor:
    """Scales each row to length 1: x / |x|; a row shorter than 1e-4 becomes x / 1e-4.

    That bounds the gradient at 1e4, at a zero row too, where a plain normalisation's is unbounded. No output of
    a network in training comes near: with d = 2048 and unit variance |z| is about 45.

    Args:
        x: `[B, d]`.

    Returns:
        `[B, d]`, in at least float32.
    """
    x = tf.cast(x, tf.float64 if x.dtype == tf.float64 else tf.float32)
    square = tf.reduce_sum(tf.square(x), axis=-1, keepdims=True)  # [B, 1]
    return x * tf.math.rsqrt(tf.maximum(square, _SMALLEST_NORM**2))


def negative_cosine(p: tf.Tensor, z: tf.Tensor, stop_gradient: bool = True) -> tf.Tensor:
    """D(p, stopgrad(z)) = -(p / |p|) . (z / |z|) of each image (paper Eq. 1 and 3).

    Args:
        p: predictor outputs of one view, `[B, d]`.
        z: targets from the other view, `[B, d]`.
        stop_gradient: treat z as a constant; without it the method collapses (Sec. 4.1).

    Returns:
        `[B]`, between -1 and 1.
    """
    if stop_gradient:
        z = tf.stop_gradient(z)
    return -tf.reduce_sum(normalize(p) * normalize(z), axis=-1)


def simsiam_loss(p1: tf.Tensor, p2: tf.Tensor, z1: tf.Tensor, z2: tf.Tensor, stop_gradient: bool = True) -> tf.Tensor:
    """L = D(p1, stopgrad(z2)) / 2 + D(p2, stopgrad(z1)) / 2, of each image (paper Eq. 4).

    Args:
        p1: predictor outputs of view 1, `[B, d]`.
        p2: predictor outputs of view 2, `[B, d]`.
        z1: projector outputs of view 1, `[B, d]`.
        z2: projector outputs of view 2, `[B, d]`.
        stop_gradient: as for `negative_cosine`.

    Returns:
        `[B]`, between -1 (perfect) and 1.
    """
    return negative_cosine(p1, z2, stop_gradient) / 2 + negative_cosine(p2, z1, stop_gradient) / 2
