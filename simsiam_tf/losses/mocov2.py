"""Computes InfoNCE against a queue of keys, MoCo's loss (He et al. 2020, Eq. 1)."""

from collections.abc import Sequence

import tensorflow as tf

from simsiam_tf.losses.common import normalize


def info_nce(query: tf.Tensor, key: tf.Tensor, queue: tf.Tensor, temperature: float = 0.2) -> tf.Tensor:
    """Computes -log exp(q . k+ / T) / (exp(q . k+ / T) + sum exp(q . k- / T)) of each image (MoCo, Eq. 1).

    Args:
        query: q, outputs of the encoder for one view, `[B, d]`.
        key: k+, outputs of the momentum encoder for the other view, `[B, d]`; constants.
        queue: k-, keys of earlier batches, each of length 1, `[K, d]`; constants.
        temperature: T, the temperature of the softmax.

    Returns:
        `[B]`, positive.

    Example:
        >>> import numpy as np
        >>> one, other = np.array([[1.0, 0.0]]), np.array([[0.0, 1.0]])
        >>> float(info_nce(one, one, other, temperature=0.1)[0]) < 1e-4  # the key is near, the queue is far
        True
    """
    q, k = normalize(query), tf.stop_gradient(normalize(key))
    positive = tf.reduce_sum(q * k, axis=1, keepdims=True)  # [B, 1]
    negative = tf.matmul(q, tf.stop_gradient(tf.cast(queue, q.dtype)), transpose_b=True)  # [B, K]
    logits = tf.concat([positive, negative], axis=1) / temperature
    return tf.nn.sparse_softmax_cross_entropy_with_logits(tf.zeros(tf.shape(q)[0], tf.int32), logits)


def mocov2_loss(
    queries: Sequence[tf.Tensor], keys: Sequence[tf.Tensor], queue: tf.Tensor, temperature: float = 0.2
) -> tf.Tensor:
    """Averages the loss over both views: each view's query meets the other view's key (Sec. 6.1, "improved" MoCo v2).

    Args:
        queries: outputs of the encoder for view 1 and for view 2, `[B, d]` each.
        keys: outputs of the momentum encoder for view 1 and for view 2, `[B, d]` each; constants.
        queue: keys of earlier batches, each of length 1, `[K, d]`; constants.
        temperature: T, the temperature of the softmax.

    Returns:
        `[B]`, positive.

    Example:
        >>> import numpy as np
        >>> one, other = np.array([[1.0, 0.0]]), np.array([[0.0, 1.0]])
        >>> mocov2_loss((one, one), (one, one), other).shape
        TensorShape([1])
    """
    both = [info_nce(query, key, queue, temperature) for query, key in zip(queries, reversed(keys), strict=True)]
    return tf.add_n(both) / 2.0
