"""Makes the anchors: boxes of several sizes and shapes around each place of a map (Faster R-CNN, Sec. 3.1.1)."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf


def cell_anchors(sizes: Sequence[float], ratios: Sequence[float]) -> np.ndarray:
    """Computes the anchors of one place, around the origin.

    Args:
        sizes: the square roots of the anchors' areas, pixels.
        ratios: heights divided by widths.

    Returns:
        Boxes `[S * R, 4] float64`, for each size one of each ratio.

    Example:
        >>> cell_anchors([32], [1.0]).tolist()
        [[-16.0, -16.0, 16.0, 16.0]]
    """
    widths = np.array([np.sqrt(size**2 / ratio) for size in sizes for ratio in ratios], np.float64)
    heights = widths * np.tile(np.asarray(ratios, np.float64), len(sizes))
    return np.stack([-widths, -heights, widths, heights], axis=1) / 2


def grid_anchors(height: tf.Tensor | int, width: tf.Tensor | int, stride: int, cells: np.ndarray) -> tf.Tensor:
    """Puts the anchors of one place at every place of a feature map.

    Args:
        height: the height of the feature map.
        width: the width of the feature map.
        stride: the distance of two neighbouring places, pixels of the image.
        cells: the anchors of one place, `[A, 4]`.

    Returns:
        Boxes `[height * width * A, 4]`, in the type of `cells`: row by row, the anchors of one place one after another.
        They may reach beyond the image.

    Example:
        >>> grid_anchors(1, 2, 16, cell_anchors([32], [1.0])).numpy().tolist()
        [[-16.0, -16.0, 16.0, 16.0], [0.0, -16.0, 32.0, 16.0]]
    """
    y, x = tf.meshgrid(tf.range(height) * stride, tf.range(width) * stride, indexing="ij")
    centres = tf.cast(tf.stack([x, y, x, y], axis=-1), cells.dtype)  # [H, W, 4]
    return tf.reshape(centres[:, :, tf.newaxis] + tf.constant(cells), [-1, 4])
