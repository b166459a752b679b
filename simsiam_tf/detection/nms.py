"""Removes boxes that overlap better ones: greedy non-maximum suppression, with shapes that are known beforehand."""

import tensorflow as tf

from simsiam_tf.detection.boxes import iou

# The number of boxes that are compared with each other at a time.
_TILE = 256
_NEVER = float("-inf")


def best_first(scores: tf.Tensor, valid: tf.Tensor, count: int | tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Sorts candidates by falling score; of equal scores the first candidate goes first.

    Args:
        scores: the score of each candidate, `[B, N]`.
        valid: whether each counts, `[B, N] bool`; the others come last.
        count: the number of candidates to return, at most N.

    Returns:
        Positions `[B, count] int32`, and whether the candidate there counts, `[B, count] bool`.

    Example:
        >>> index, live = best_first(tf.constant([[1.0, 3.0, 2.0]]), tf.constant([[True, True, False]]), 3)
        >>> index.numpy().tolist(), live.numpy().tolist()
        ([[1, 0, 2]], [[True, True, False]])
    """
    found, index = tf.math.top_k(tf.where(valid, scores, tf.cast(_NEVER, scores.dtype)), count)
    return index, found > _NEVER


def nms(
    boxes: tf.Tensor, live: tf.Tensor, threshold: float, limit: int, groups: tf.Tensor | None = None
) -> tuple[tf.Tensor, tf.Tensor]:
    """Keeps each box that does not overlap a better one that is kept.

    Args:
        boxes: boxes with the best first, `[B, N, 4]`.
        live: whether each box counts, `[B, N] bool`.
        threshold: the IoU that two kept boxes may have at most.
        limit: the number of boxes to keep; the rest is not looked at.
        groups: the class of each box, `[B, N] int32`; boxes of different classes do not meet. All meet if `None`.

    Returns:
        The positions of the kept boxes, `[B, limit] int32`, with the best first; and whether there is one at each
        place, `[B, limit] bool`.

    Example:
        >>> boxes = tf.constant([[[0.0, 0.0, 9.0, 9.0], [0.0, 0.0, 9.0, 8.0], [20.0, 0.0, 29.0, 9.0]]])
        >>> index, found = nms(boxes, tf.ones([1, 3], tf.bool), 0.5, 2)
        >>> index.numpy().tolist()
        [[0, 2]]
    """
    groups = tf.zeros(tf.shape(live), tf.int32) if groups is None else groups
    # Of a negative number, tf2onnx would take the remainder that C takes.
    batch, missing = tf.shape(boxes)[0], (_TILE - tf.shape(boxes)[1] % _TILE) % _TILE
    boxes = tf.pad(boxes, [[0, 0], [0, missing], [0, 0]])
    live, groups = tf.pad(live, [[0, 0], [0, missing]]), tf.pad(groups, [[0, 0], [0, missing]])
    tiles = tf.shape(boxes)[1] // _TILE

    def is_unfinished(tile: tf.Tensor, index: tf.Tensor, found: tf.Tensor) -> tf.Tensor:
        return (tile < tiles) & ~tf.reduce_all(found)

    def next_tile(tile: tf.Tensor, index: tf.Tensor, found: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        def meets(other_boxes: tf.Tensor, other_groups: tf.Tensor) -> tf.Tensor:
            overlaps = iou(other_boxes, mine) > tf.constant(threshold, boxes.dtype)  # [B, M, T]
            return overlaps & (other_groups[:, :, tf.newaxis] == my_groups[:, tf.newaxis])

        start = tile * _TILE
        mine = tf.slice(boxes, [0, start, 0], [batch, _TILE, 4])  # XLA needs slices of a constant length
        my_groups, my_life = (tf.slice(x, [0, start], [batch, _TILE]) for x in (groups, live))
        kept = tf.gather(boxes, index, batch_dims=1), tf.gather(groups, index, batch_dims=1)
        alive = my_life & ~tf.reduce_any(meets(*kept) & found[..., tf.newaxis], axis=1)
        new = _greedy(alive, meets(mine, my_groups))
        here = tf.broadcast_to(start + tf.range(_TILE)[tf.newaxis], tf.shape(new))
        index, found = tf.concat([index, here], axis=1), tf.concat([found, new], axis=1)
        first = tf.argsort(tf.where(found, 0, 1), axis=1, stable=True)[:, :limit]
        index, found = (tf.gather(x, first, batch_dims=1) for x in (index, found))
        return tile + 1, tf.ensure_shape(index, shape), tf.ensure_shape(found, shape)

    shape = [boxes.shape[0], limit]
    nothing = (tf.ensure_shape(tf.zeros([batch, limit], kind), shape) for kind in (tf.int32, tf.bool))
    _, index, found = tf.while_loop(is_unfinished, next_tile, (tf.constant(0), *nothing))
    return tf.where(found, index, 0), found


def _greedy(alive: tf.Tensor, meets: tf.Tensor) -> tf.Tensor:
    """Keeps each box of a tile that no kept box before it meets.

    Boxes that nothing before them meets are right after the first round, boxes that only those can remove after the
    second, and so on, until a round changes nothing.

    Args:
        alive: the boxes that may be kept, `[B, T] bool`.
        meets: whether each box meets each other one, `[B, T, T] bool`.

    Returns:
        The boxes that are kept, `[B, T] bool`.
    """
    place = tf.range(_TILE)
    removes = meets & (place[:, tf.newaxis] < place)

    def next_round(keep: tf.Tensor, _: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        after = alive & ~tf.reduce_any(removes & keep[:, :, tf.newaxis], axis=1)
        return after, tf.reduce_any(after != keep)

    return tf.while_loop(lambda _, changed: changed, next_round, (alive, tf.constant(True)))[0]
