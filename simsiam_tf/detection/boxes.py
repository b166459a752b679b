"""Computes with boxes: area, overlap, the deltas that a detector predicts, and clipping.

A box is `[x1, y1, x2, y2]` in pixels. Coordinates are continuous: the pixel in row i and column j covers
`[j, j + 1) x [i, i + 1)`, so that a box of one pixel has the width 1.
"""

import math

import tensorflow as tf

# Weights of the deltas (dx, dy, dw, dh) of the region proposal network, and of the box head (Fast R-CNN, Sec. 2.3).
OF_PROPOSALS = (1.0, 1.0, 1.0, 1.0)
OF_BOX_HEAD = (10.0, 10.0, 5.0, 5.0)
# Predicted boxes are at most this many times as large as the box that they start from, in the logarithm.
_LARGEST_GROWTH = math.log(1000.0 / 16.0)

Weights = tuple[float, float, float, float]


def sides(boxes: tf.Tensor) -> tf.Tensor:
    """Computes width and height of boxes: `[..., 4]` to `[..., 2]`; 0 for a box that is turned inside out.

    Example:
        >>> sides(tf.constant([[0.0, 0.0, 4.0, 2.0]])).numpy().tolist()
        [[4.0, 2.0]]
    """
    return tf.maximum(boxes[..., 2:] - boxes[..., :2], 0.0)


def iou(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
    """Computes the overlap of each box with each other box: the area of the intersection over that of the union.

    Args:
        a: boxes, `[..., N, 4]`.
        b: boxes, `[..., M, 4]`.

    Returns:
        `[..., N, M]`, from 0 to 1; 0 where the intersection is empty.

    Example:
        >>> iou(tf.constant([[0.0, 0.0, 4.0, 2.0]]), tf.constant([[0.0, 0.0, 2.0, 2.0]])).numpy().tolist()
        [[0.5]]
    """
    first, second = a[..., :, tf.newaxis, :], b[..., tf.newaxis, :, :]
    corners = tf.maximum(first[..., :2], second[..., :2]), tf.minimum(first[..., 2:], second[..., 2:])
    shared = tf.reduce_prod(tf.maximum(corners[1] - corners[0], 0.0), axis=-1)
    area_a, area_b = tf.reduce_prod(sides(first), axis=-1), tf.reduce_prod(sides(second), axis=-1)
    return tf.math.divide_no_nan(shared, area_a + area_b - shared)


def encode(source: tf.Tensor, target: tf.Tensor, weights: Weights) -> tf.Tensor:
    """Computes the deltas that move boxes to other boxes (R-CNN, App. C).

    Args:
        source: boxes to start from, such as anchors, `[..., 4]`.
        target: boxes to arrive at, `[..., 4]`.
        weights: factors of dx, dy, dw and dh.

    Returns:
        Deltas `[..., 4]`: dx = wx (cx' - cx) / w, dw = ww log(w' / w), and dy and dh alike.

    Example:
        >>> encode(tf.constant([0.0, 0.0, 4.0, 4.0]), tf.constant([2.0, 0.0, 6.0, 4.0]), OF_PROPOSALS).numpy().tolist()
        [0.5, 0.0, 0.0, 0.0]
    """
    size, new_size = source[..., 2:] - source[..., :2], target[..., 2:] - target[..., :2]
    moved = (target[..., :2] + 0.5 * new_size - source[..., :2] - 0.5 * size) / size
    return tf.concat([moved, tf.math.log(new_size / size)], axis=-1) * tf.constant(weights, source.dtype)


def decode(source: tf.Tensor, deltas: tf.Tensor, weights: Weights) -> tf.Tensor:
    """Moves boxes by deltas; the inverse of `encode`, with a limit to the growth.

    Args:
        source: boxes to start from, `[..., 4]`.
        deltas: deltas, `[..., 4]`; the leading axes are broadcast.
        weights: the factors by which the deltas were multiplied.

    Returns:
        Boxes, `[..., 4]`.

    Example:
        >>> deltas = tf.constant([0.5, 0.0, 0.0, 0.0])
        >>> decode(tf.constant([0.0, 0.0, 4.0, 4.0]), deltas, OF_PROPOSALS).numpy().tolist()
        [2.0, 0.0, 6.0, 4.0]
    """
    deltas = deltas / tf.constant(weights, deltas.dtype)
    size = source[..., 2:] - source[..., :2]
    centre = deltas[..., :2] * size + source[..., :2] + 0.5 * size
    half = 0.5 * tf.exp(tf.minimum(deltas[..., 2:], _LARGEST_GROWTH)) * size
    return tf.concat([centre - half, centre + half], axis=-1)


def clip(boxes: tf.Tensor, sizes: tf.Tensor) -> tf.Tensor:
    """Cuts off what lies outside of the image.

    Args:
        boxes: boxes, `[..., 4]`.
        sizes: height and width of the image, `[..., 2]`; the leading axes are broadcast.

    Returns:
        Boxes within `[0, width] x [0, height]`, `[..., 4]`.

    Example:
        >>> clip(tf.constant([-5.0, 2.0, 50.0, 9.0]), tf.constant([8.0, 32.0])).numpy().tolist()
        [0.0, 2.0, 32.0, 8.0]
    """
    sizes = tf.cast(sizes, boxes.dtype)
    return tf.clip_by_value(boxes, 0.0, tf.concat([sizes[..., ::-1], sizes[..., ::-1]], axis=-1))


def are_larger(boxes: tf.Tensor, least: float) -> tf.Tensor:
    """Returns whether both sides of each box are longer than `least` pixels: `[..., 4]` to `[...] bool`.

    Example:
        >>> are_larger(tf.constant([[0.0, 0.0, 4.0, 0.0]]), 0.0).numpy().tolist()
        [False]
    """
    return tf.reduce_min(boxes[..., 2:] - boxes[..., :2], axis=-1) > least
