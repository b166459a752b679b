"""Computes how much boxes overlap."""

import numpy as np


def box_areas(boxes: np.ndarray) -> np.ndarray:
    """Returns the areas of boxes `[n, 4]` of x1, y1, x2, y2, as `[n] float64`."""
    sides = np.asarray(boxes[:, 2:], np.float64) - np.asarray(boxes[:, :2], np.float64)
    return sides[:, 0] * sides[:, 1]


def intersection_over_union(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Computes the intersection over the union of each pair of boxes, in continuous coordinates.

    The Pascal VOC devkit adds 1 to sides because its corners are pixels that belong to the box. Its corner x1 is one
    greater than ours and its x2 is ours, so the numbers are the same.

    Args:
        a: `[n, 4]`, x1, y1, x2, y2.
        b: `[m, 4]`.

    Returns:
        `[n, m] float64`; 0 where the intersection is empty, also for boxes without area.

    Example:
        >>> intersection_over_union(np.array([[0.0, 0.0, 2.0, 2.0]]), np.array([[0.0, 0.0, 2.0, 1.0]]))
        array([[0.5]])
    """
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    start = np.maximum(a[:, None, :2], b[None, :, :2])
    end = np.minimum(a[:, None, 2:], b[None, :, 2:])
    intersection = np.prod(np.maximum(end - start, 0.0), axis=2)
    union = box_areas(a)[:, None] + box_areas(b)[None, :] - intersection
    return np.divide(intersection, union, out=np.zeros_like(union), where=intersection > 0)
