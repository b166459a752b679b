"""Decides which candidates are objects, and samples those that are trained on (Faster R-CNN, Sec. 3.1.2)."""

from collections.abc import Sequence

import tensorflow as tf

# The labels of candidates: an object, background, and neither.
FOREGROUND, BACKGROUND, IGNORED = 1, 0, -1


def match(
    overlaps: tf.Tensor, thresholds: Sequence[float], labels: Sequence[int], every_object: bool = False
) -> tuple[tf.Tensor, tf.Tensor]:
    """Matches each candidate with the object that it overlaps most.

    Args:
        overlaps: the IoU of each object with each candidate, `[..., G, N]`; -1 in the rows of objects that fill up the
            array.
        thresholds: rising limits of the IoU. An IoU that equals one belongs above it.
        labels: the label below the first threshold, between two, and above the last.
        every_object: whether the candidates that overlap an object most become foreground too, however little that is,
            as for the proposals. A candidate keeps the object that it overlaps most.

    Returns:
        The position of the object of each candidate, `[..., N] int32`, 0 without objects; and the label of each
        candidate, `[..., N] int32`.

    Example:
        >>> index, label = match(tf.constant([[0.8, 0.4, 0.1]]), (0.3, 0.7), (BACKGROUND, IGNORED, FOREGROUND))
        >>> label.numpy().tolist()
        [1, -1, 0]
    """
    best = tf.reduce_max(overlaps, axis=-2)  # [..., N]; the least finite number without objects
    rows = tf.range(tf.shape(overlaps)[-2])[:, tf.newaxis]
    is_best = tf.equal(overlaps, best[..., tf.newaxis, :])
    index = tf.reduce_min(tf.where(is_best, rows, tf.int32.max), axis=-2)  # the first one of equal ones
    index = tf.where(index == tf.int32.max, 0, index)
    label = tf.fill(tf.shape(best), labels[0])
    for threshold, above in zip(thresholds, labels[1:], strict=True):
        label = tf.where(best >= tf.constant(threshold, best.dtype), above, label)
    if every_object:
        most = tf.reduce_max(overlaps, axis=-1, keepdims=True)  # [..., G, 1]
        label = tf.where(tf.reduce_any((overlaps == most) & (most >= 0), axis=-2), FOREGROUND, label)
    return index, label


def sample_labels(labels: tf.Tensor, draws: tf.Tensor, count: int, fraction: float) -> tf.Tensor:
    """Chooses candidates at random, and makes the label of all others `IGNORED`.

    Args:
        labels: the label of each candidate, `[B, N]`.
        draws: a random number for each candidate, `[B, N]`; those with the smallest ones are chosen.
        count: the number of candidates to choose. There are fewer if there is not enough background.
        fraction: the largest part of `count` that is foreground.

    Returns:
        The labels of those that are chosen, `[B, N] int32`.

    Example:
        >>> sample_labels(tf.constant([[1, 1, 0]]), tf.constant([[0.2, 0.1, 0.3]]), 2, 0.5).numpy().tolist()
        [[-1, 1, 0]]
    """
    is_foreground, is_background = labels == FOREGROUND, labels == BACKGROUND
    chosen = is_foreground & (_ranks(draws, is_foreground) < int(count * fraction))
    left = count - tf.reduce_sum(tf.cast(chosen, tf.int32), axis=-1, keepdims=True)
    others = is_background & (_ranks(draws, is_background) < left)
    return tf.where(chosen, FOREGROUND, tf.where(others, BACKGROUND, IGNORED))


def sampled_first(labels: tf.Tensor, count: int) -> tf.Tensor:
    """Lists the candidates that were chosen: foreground first, then background, each in the order of the candidates.

    If there are fewer than `count`, the list begins anew at its end, so that its length is always the same and nothing
    but real candidates enters the statistics of batch norm.

    Args:
        labels: labels as from `sample_labels`, `[B, N]`, with at least one that is chosen in each row.
        count: the length of the list.

    Returns:
        Positions of candidates, `[B, count] int32`.

    Example:
        >>> sampled_first(tf.constant([[-1, 0, 1]]), 3).numpy().tolist()
        [[2, 1, 2]]
    """
    key = tf.where(labels == FOREGROUND, 0, tf.where(labels == BACKGROUND, 1, 2))
    order = tf.argsort(key, axis=-1, stable=True)
    found = tf.reduce_sum(tf.cast(key < 2, tf.int32), axis=-1, keepdims=True)  # [B, 1]
    slots = tf.range(count)[tf.newaxis] % tf.maximum(found, 1)
    return tf.gather(order, slots, batch_dims=1)


def _ranks(draws: tf.Tensor, among: tf.Tensor) -> tf.Tensor:
    """Returns the rank of each draw among the marked ones, counted from 0; unmarked ones come last."""
    order = tf.argsort(tf.where(among, draws, 2.0), axis=-1, stable=True)  # draws are below 1
    return tf.argsort(order, axis=-1, stable=True)
