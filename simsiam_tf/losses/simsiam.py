"""Computes SimSiam's loss (paper Eq. 1 to 4, Alg. 1)."""

from collections.abc import Callable, Sequence

import tensorflow as tf

from simsiam_tf.losses.common import at_least_float32, normalize


def negative_cosine(p: tf.Tensor, z: tf.Tensor, stop_gradient: bool = True) -> tf.Tensor:
    """Computes D(p, stopgrad(z)) = -(p / |p|) . (z / |z|) of each image (paper Eq. 1 and 3).

    Args:
        p: predictor outputs of one view, `[B, d]`.
        z: targets from the other view, `[B, d]`.
        stop_gradient: whether z is treated as a constant; if `False`, SimSiam collapses (Sec. 4.1).

    Returns:
        `[B]`, between -1 and 1.

    Example:
        >>> import numpy as np
        >>> p, z = np.array([[3.0, 4.0]]), np.array([[6.0, 8.0]])
        >>> round(float(negative_cosine(p, z)[0]), 6)
        -1.0
    """
    if stop_gradient:
        z = tf.stop_gradient(z)
    return -tf.reduce_sum(normalize(p) * normalize(z), axis=-1)


def cross_entropy(p: tf.Tensor, z: tf.Tensor, stop_gradient: bool = True) -> tf.Tensor:
    """Computes D(p, stopgrad(z)) = -softmax(z) . log softmax(p) of each image, over channels (paper Sec. 4.5).

    Args:
        p: predictor outputs of one view, `[B, d]`.
        z: targets from the other view, `[B, d]`.
        stop_gradient: whether z is a constant.

    Returns:
        `[B]`, positive; log(d) if p is constant over channels.

    Example:
        >>> import numpy as np
        >>> round(float(cross_entropy(np.zeros([1, 4]), np.zeros([1, 4]))[0]), 4)  # log 4
        1.3863
    """
    if stop_gradient:
        z = tf.stop_gradient(z)
    p, z = at_least_float32(p), at_least_float32(z)
    return -tf.reduce_sum(tf.nn.softmax(z) * tf.nn.log_softmax(p), axis=-1)


# The values of --similarity.
SIMILARITIES = {"cosine": negative_cosine, "cross_entropy": cross_entropy}


def simsiam_loss(
    p: Sequence[tf.Tensor],
    targets: Sequence[tf.Tensor],
    distance: Callable[..., tf.Tensor] = negative_cosine,
    stop_gradient: bool = True,
) -> tf.Tensor:
    """Computes L = D(p1, stopgrad(z2)) / 2 + D(p2, stopgrad(z1)) / 2 of each image (paper Eq. 4).

    p1 is compared with z2, and p2 with z1. In general it is the mean of D over all pairs of a prediction and its
    target: the asymmetric variant of Sec. 4.6 has one pair, `simsiam_loss((p1,), (z2,))`.

    Args:
        p: predictor outputs of each view, `[B, d]` each.
        targets: for each prediction in `p`, the projector's output of the other view, `[B, d]`: (z2, z1), not (z1, z2).
        distance: D, a function of p, z and `stop_gradient`.
        stop_gradient: whether the targets are constants.

    Returns:
        `[B]`; for the cosine between -1 (perfect) and 1.

    Example:
        >>> import numpy as np
        >>> p1 = p2 = z1 = z2 = np.array([[3.0, 4.0]])
        >>> round(float(simsiam_loss((p1, p2), (z2, z1))[0]), 6)
        -1.0
    """
    return tf.add_n([distance(one, other, stop_gradient) / len(p) for one, other in zip(p, targets, strict=True)])
