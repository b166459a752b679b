"""Encodes masks as the run lengths that COCO's evaluation takes, and decodes them."""

from collections.abc import Sequence

import numpy as np
from pycocotools import mask as coco_mask

from simsiam_tf.detection.scores.records import Rle
from simsiam_tf.errors import check


def masks_to_rle(masks: np.ndarray) -> list[Rle]:
    """Encodes masks as compressed run lengths.

    Args:
        masks: `[n, H, W] bool`.

    Returns:
        For each mask a dictionary: `size` is `[H, W]`, and `counts` the runs down the columns as `bytes`. To write
        it as JSON, decode `counts` as ASCII; all functions here take `str` as well.

    Raises:
        UsageError: if the array has another number of dimensions, or does not consist of truth values.

    Example:
        >>> masks_to_rle(np.array([[[False, True], [False, True]]]))
        [{'size': [2, 2], 'counts': b'22'}]
    """
    check(masks.ndim == 3, "Masks must be an array [n, H, W].", masks.shape)
    check(masks.dtype == bool, "Masks must be truth values: compare probabilities with a threshold.", masks.dtype)
    # pycocotools reads [H, W, n] as it lies in memory, and takes for granted that columns are contiguous.
    return list(coco_mask.encode(np.asfortranarray(masks.transpose(1, 2, 0), np.uint8))) if len(masks) else []


def rle_to_masks(masks: Sequence[Rle], size: tuple[int, int]) -> np.ndarray:
    """Decodes masks from compressed run lengths.

    Args:
        masks: n masks as `masks_to_rle` makes them.
        size: the height and the width of the image, pixels.

    Returns:
        `[n, H, W] bool`.

    Raises:
        UsageError: if a mask has another size.

    Example:
        >>> rle_to_masks([{"size": [2, 2], "counts": b"22"}], (2, 2)).astype(int).tolist()
        [[[0, 1], [0, 1]]]
    """
    for mask in masks:
        check(tuple(mask["size"]) == tuple(size), f"The masks must have the image's size, {size}.", mask["size"])
    if not masks:
        return np.zeros((0, *size), bool)
    return np.ascontiguousarray(coco_mask.decode(list(masks)).transpose(2, 0, 1)).astype(bool)
