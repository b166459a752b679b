"""Computes SwAV's loss, by which each view predicts the other's code (Caron et al. 2020, Eq. 1 to 5)."""

from collections.abc import Callable, Sequence

import tensorflow as tf


def sinkhorn(
    scores: tf.Tensor,
    epsilon: float = 0.05,
    iterations: int = 3,
    weights: tf.Tensor | None = None,
    all_sum: Callable[[tf.Tensor], tf.Tensor] = tf.identity,
) -> tf.Tensor:
    """Computes codes: soft assignments that divide the images evenly among prototypes (SwAV, Eq. 3; Sinkhorn-Knopp).

    Args:
        scores: cosines z . c of images and prototypes, `[B, K]`.
        epsilon: the weight of the entropy term; smaller makes harder assignments.
        iterations: the number of iterations of the algorithm.
        weights: 1 for each image that takes part and 0 for each that does not, `[B]`; by default all take part.
        all_sum: a function that sums over replicas, if each has rows of its own.

    Returns:
        `[B, K]`; a row sums to 1, or to 0 if its image takes no part.

    Example:
        >>> import numpy as np
        >>> sinkhorn(np.eye(2)).numpy().round(2).tolist()  # each image gets a prototype of its own
        [[1.0, 0.0], [0.0, 1.0]]
    """
    # Subtracting 1, the greatest cosine, keeps exp from overflowing, and cancels in the quotients.
    q = tf.exp((scores - 1.0) / epsilon)
    q = q if weights is None else q * weights[:, tf.newaxis]
    for _ in range(iterations):
        q = tf.math.divide_no_nan(q, all_sum(tf.reduce_sum(q, axis=0, keepdims=True)))  # each prototype gets as much
        q = tf.math.divide_no_nan(q, tf.reduce_sum(q, axis=1, keepdims=True))  # each image gives as much
    return q


def swapped_prediction(
    predictions: Sequence[tf.Tensor], codes: Sequence[tf.Tensor], temperature: float = 0.1, stop_gradient: bool = True
) -> tf.Tensor:
    """Computes -q . log softmax(s / T) of each image: each view predicts the codes of the other large views (Eq. 2).

    Args:
        predictions: scores s of each view, the large views first, `[B, K]` each.
        codes: codes q of each large view, `[B, K]` each.
        temperature: T, the temperature of the softmax.
        stop_gradient: whether the codes are constants; otherwise training diverges (Sec. 6.2).

    Returns:
        `[B]`, positive: the mean over the pairs of a view and a code.

    Example:
        >>> import numpy as np
        >>> scores, codes = [np.eye(2)] * 2, [np.eye(2)] * 2
        >>> float(swapped_prediction(scores, codes)[0]) < 1e-4
        True
    """
    if stop_gradient:
        codes = [tf.stop_gradient(code) for code in codes]
    logs = [tf.nn.log_softmax(scores / temperature) for scores in predictions]
    terms = [-tf.reduce_sum(code * log, axis=1) for i, code in enumerate(codes) for j, log in enumerate(logs) if i != j]
    return tf.add_n(terms) / len(terms)
