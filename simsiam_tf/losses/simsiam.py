"""SimSiam's loss (paper Eq. 1 to 4, Alg. 1)."""

from collections.abc import Callable, Sequence

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


def cross_entropy(p: tf.Tensor, z: tf.Tensor, stop_gradient: bool = True) -> tf.Tensor:
    """D(p, stopgrad(z)) = -softmax(z) . log softmax(p) of each image, over channels (paper Sec. 4.5).

    Args:
        p: predictor outputs of one view, `[B, d]`.
        z: targets from the other view, `[B, d]`.
        stop_gradient: as for `negative_cosine`.

    Returns:
        `[B]`, positive; log(d) where p is constant over channels.
    """
    if stop_gradient:
        z = tf.stop_gradient(z)
    p, z = (tf.cast(x, tf.float64 if x.dtype == tf.float64 else tf.float32) for x in (p, z))
    return -tf.reduce_sum(tf.nn.softmax(z) * tf.nn.log_softmax(p), axis=-1)


# The values of --similarity.
SIMILARITIES = {"cosine": negative_cosine, "cross_entropy": cross_entropy}


def simsiam_loss(
    p: Sequence[tf.Tensor],
    targets: Sequence[tf.Tensor],
    distance: Callable[..., tf.Tensor] = negative_cosine,
    stop_gradient: bool = True,
) -> tf.Tensor:
    """L = D(p1, stopgrad(z2)) / 2 + D(p2, stopgrad(z1)) / 2, of each image (paper Eq. 4).

    Args:
        p: (p1, p2), predictor outputs of each view, `[B, d]`; or of as many as have a target (Sec. 4.6).
        targets: (z2, z1), for each of them the projector's output of the other view, `[B, d]`.
        distance: D.
        stop_gradient: as for `negative_cosine`.

    Returns:
        `[B]`; for the cosine between -1 (perfect) and 1.
    """
    return tf.add_n([distance(one, other, stop_gradient) / len(p) for one, other in zip(p, targets, strict=True)])
