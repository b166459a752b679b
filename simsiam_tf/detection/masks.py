"""Makes the targets of the mask head, and puts its masks back into the image (Mask R-CNN, Sec. 3)."""

from typing import TypeAlias

import tensorflow as tf

from simsiam_tf.detection.roi_align import axis_weights

Length: TypeAlias = tf.Tensor | int


def mask_targets(masks: tf.Tensor, which: tf.Tensor, sizes: tf.Tensor, boxes: tf.Tensor, output_size: int) -> tf.Tensor:
    """Cuts the mask of an object out of each region: RoIAlign of the mask, then a threshold of 0.5.

    Args:
        masks: the masks of all objects, with 8 pixels of a row in a byte, the first in its highest bit:
            `[G, H, ceil(W / 8)] uint8`.
        which: the position of the mask of each region, `[R]`.
        sizes: height and width of the image of each region, `[R, 2]`; the rest of a mask is padding.
        boxes: the regions in pixels, `[R, 4]`.
        output_size: M, the side of the targets.

    Returns:
        `[R, M, M]` of 0 and 1, in the type of `boxes`.

    Example:
        >>> full = tf.constant([[[0b11110000]] * 4], tf.uint8)  # one mask of 4 rows and 8 columns, half of it set
        >>> boxes = tf.constant([[0.0, 0.0, 8.0, 4.0]])
        >>> mask_targets(full, tf.constant([0]), tf.constant([[4, 8]]), boxes, 2)[0].numpy().tolist()
        [[1.0, 0.0], [1.0, 0.0]]
    """
    height, width, sizes = tf.shape(masks)[1], tf.shape(masks)[2] * 8, tf.cast(sizes, boxes.dtype)
    rows = axis_weights(boxes[:, 1], boxes[:, 3], height, output_size, 1.0, valid_length=sizes[:, 0])
    columns = axis_weights(boxes[:, 0], boxes[:, 2], width, output_size, 1.0, valid_length=sizes[:, 1])

    def cut(of_one: tuple[tf.Tensor, ...]) -> tf.Tensor:
        position, of_rows, of_columns = of_one
        mask = tf.cast(_unpacked(tf.gather(masks, position)), boxes.dtype)  # [H, W]
        return tf.matmul(tf.matmul(of_rows, mask), of_columns, transpose_b=True)

    # One region at a time: the masks of all at once, at full size, would take gigabytes.
    values = tf.map_fn(cut, (which, rows, columns), fn_output_signature=boxes.dtype)
    return tf.cast(tf.ensure_shape(values, [None, output_size, output_size]) >= 0.5, boxes.dtype)


def _unpacked(packed: tf.Tensor) -> tf.Tensor:
    """Returns the single pixels, 0 or 1, of rows with 8 pixels in a byte: `[H, W / 8]` to `[H, W] uint8`."""
    shifts = tf.constant([7, 6, 5, 4, 3, 2, 1, 0], tf.uint8)
    bits = tf.bitwise.bitwise_and(tf.bitwise.right_shift(packed[..., tf.newaxis], shifts), tf.constant(1, tf.uint8))
    return tf.reshape(bits, [tf.shape(packed)[0], -1])


def paste_masks(probabilities: tf.Tensor, boxes: tf.Tensor, height: Length, width: Length) -> tf.Tensor:
    """Puts masks into an image: each pixel centre reads the probabilities of its place in the box, bilinearly.

    Args:
        probabilities: the output of the mask head for each box, `[D, M, M]`.
        boxes: the boxes in pixels of the image, `[D, 4]`.
        height: the height of the image, pixels.
        width: the width of the image, pixels.

    Returns:
        `[D, height, width]` in the type of `boxes`, 0 outside of the box. A pixel belongs to the mask from 0.5 on.

    Example:
        >>> boxes = tf.constant([[1.0, 0.0, 3.0, 2.0]])
        >>> (paste_masks(tf.ones([1, 2, 2]), boxes, 2, 4) >= 0.5)[0].numpy().astype(int).tolist()
        [[0, 1, 1, 0], [0, 1, 1, 0]]
    """
    side = probabilities.shape[-1]
    rows = _reading_weights(boxes[:, 1], boxes[:, 3], height, side)  # [D, height, M]
    columns = _reading_weights(boxes[:, 0], boxes[:, 2], width, side)
    found = tf.matmul(rows, tf.cast(probabilities, boxes.dtype))
    return tf.matmul(found, columns, transpose_b=True)


def _reading_weights(start: tf.Tensor, end: tf.Tensor, length: tf.Tensor | int, side: int) -> tf.Tensor:
    """Returns how much of each cell of a mask each pixel centre of an axis reads, `[D, length, M]`."""
    dtype = start.dtype
    centres = tf.range(tf.cast(length, dtype), dtype=dtype) + 0.5
    size = (end - start)[:, tf.newaxis]
    at = tf.math.divide_no_nan(centres - start[:, tf.newaxis], size) * side - 0.5  # [D, length]
    at = tf.where(size > 0, at, -2.0)  # an empty box reads nothing
    return tf.maximum(1.0 - tf.abs(at[..., tf.newaxis] - tf.range(side, dtype=dtype)), 0.0)
