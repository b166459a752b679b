"""Computes NT-Xent, SimCLR's loss (Chen et al. 2020, Eq. 1; SimSiam's paper Sec. 6.2 for its variants)."""

from collections.abc import Sequence

import tensorflow as tf

from simsiam_tf.losses.common import normalize


def nt_xent(
    anchors: Sequence[tf.Tensor],
    keys: Sequence[tf.Tensor],
    temperature: float = 0.1,
    first: tf.Tensor | int = 0,
    stop_gradient: bool = False,
) -> tf.Tensor:
    """Computes -log exp(a . k+ / T) / sum exp(a . k / T) of each image: the mean over its two views (SimCLR, Eq. 1).

    The positive k+ of an anchor is the other view of the same image. The sum runs over both views of every image,
    except the anchor itself.

    Args:
        anchors: the anchors a of view 1 and of view 2, `[B, d]` each. These are z, or p if there is a predictor.
        keys: z of view 1 and of view 2 over the global batch, `[G, d]` each.
        temperature: T, the temperature of the softmax.
        first: the row of `keys` for the first anchor's image; above 0 on the second and later replicas.
        stop_gradient: whether the keys are constants (Sec. 6.2); in SimCLR itself they are not.

    Returns:
        `[B]`, positive.

    Example:
        >>> import numpy as np
        >>> z = np.eye(4)
        >>> round(float(nt_xent((z, z), (z, z), temperature=0.1)[0]), 4)
        0.0003
    """
    if stop_gradient:
        keys = [tf.stop_gradient(k) for k in keys]
    a, k = [normalize(x) for x in anchors], [normalize(x) for x in keys]
    own = first + tf.range(tf.shape(a[0])[0])  # [B]
    itself = tf.one_hot(own, tf.shape(k[0])[0], dtype=a[0].dtype)  # [B, G]

    def loss(view: int) -> tf.Tensor:
        other = 1 - view
        similar = tf.matmul(a[view], k[other], transpose_b=True) / temperature  # [B, G]
        # The anchor itself is no candidate: -1e9 acts as minus infinity, whose gradient would not be finite.
        among_own = tf.matmul(a[view], k[view], transpose_b=True) / temperature - 1e9 * itself
        logits = tf.concat([similar, among_own], axis=1)  # [B, 2 G]
        return tf.nn.sparse_softmax_cross_entropy_with_logits(own, logits)

    return (loss(0) + loss(1)) / 2.0
