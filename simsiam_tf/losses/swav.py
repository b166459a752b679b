"""SwAV's loss: each view predicts the other's code (Caron et al. 2020, Eq. 1 to 5; SimSiam's paper Sec. 6.2)."""

from collections.abc import Callable, Sequence

import tensorflow as tf


def sinkhorn(
    scores: tf.Tensor,
    epsilon: float = 0.05,
    iterations: int = 3,
    weights: tf.Tensor | None = None,
    all_sum: Callable[[tf.Tensor], tf.Tensor] = tf.identity,
) -> tf.Tensor:
    """Codes: soft assignments to prototypes that share the images out evenly (SwAV, Eq. 3; Sinkhorn-Knopp).

    Args:
        scores: z . c of images and prototypes, `[B, K]`, cosines.
        epsilon: of the entropy term; smaller is harder.
        iterations: of the algorithm.
        weights: `[B]`, 1 or 0: whether an image takes part; by default all do.
        all_sum: adds up over replicas, where each has rows of its own.

    Returns:
        `[B, K]`; rows add up to 1, those of images that take no part to 0.
    """
    # The greatest cosine is 1: less of it keeps exp from overflowing, and falls out of the quotients.
    q = tf.exp((scores - 1.0) / epsilon)
    q = q if weights is None else q * weights[:, tf.newaxis]
    for _ in range(iterations):
        q = tf.math.divide_no_nan(q, all_sum(tf.reduce_sum(q, axis=0, keepdims=True)))  # to each prototype the same
        q = tf.math.divide_no_nan(q, tf.reduce_sum(q, axis=1, keepdims=True))  # from each image the same
    return q


def swapped_prediction(
    predictions: Sequence[tf.Tensor], codes: Sequence[tf.Tensor], temperature: float = 0.1, stop_gradient: bool = True
) -> tf.Tensor:
    """-q . log softmax(s / T) of each image: each view's scores against every large view's code but its own (Eq. 2).

    Args:
        predictions: scores of each view, `[B, K]`; the first ones are those of the large views.
        codes: of each large view, `[B, K]`.
        temperature: T.
        stop_gradient: treat the codes as constants; without it, Sec. 6.2 has it diverge.

    Returns:
        `[B]`, positive: the mean over the pairs.
    """
    if stop_gradient:
        codes = [tf.stop_gradient(code) for code in codes]
    logs = [tf.nn.log_softmax(scores / temperature) for scores in predictions]
    terms = [-tf.reduce_sum(code * log, axis=1) for i, code in enumerate(codes) for j, log in enumerate(logs) if i != j]
    return tf.add_n(terms) / len(terms)
