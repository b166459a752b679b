"""Reads the masks of objects, and draws them at any size: outlines, or runs of pixels as COCO encodes them.

Masks are checked as they are read. `pycocotools`, which draws them, does not check the runs, and reads beyond them.
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

# An outline must not reach farther beyond its image than the image is long, or drawing it would take the memory.
_FARTHEST = 1.0


@dataclasses.dataclass(frozen=True, eq=False)
class Polygons:
    """Holds the outlines of the parts of an object.

    Attributes:
        outlines: x and y of the corners of each part in turn, `[2 * corners] float64` each, in pixels.
    """

    outlines: tuple[np.ndarray, ...]


@dataclasses.dataclass(frozen=True, eq=False)
class Runs:
    """Holds a mask as the lengths of runs of equal pixels, column by column from the left, the first outside.

    Attributes:
        lengths: the lengths of the runs, `[r] int64`.
        size: the height and width of the mask.
    """

    lengths: np.ndarray
    size: tuple[int, int]


Mask = Polygons | Runs


def read_mask(segmentation: Any, size: tuple[int, int] | None) -> Mask:
    """Reads the mask of an object as COCO's files hold it.

    Args:
        segmentation: a list of outlines, or a dictionary with `counts`, the lengths of runs or COCO's text of them.
        size: the height and width of the image; `None` if unknown.

    Returns:
        The mask, which is not empty.

    Raises:
        ValueError: with the reason, if there is no mask, or it is broken or empty.
    """
    if isinstance(segmentation, dict):
        return _read_runs(segmentation, size)
    if not isinstance(segmentation, list) or not segmentation:
        raise ValueError("it has no mask")
    try:
        outlines = [np.array(part, np.float64) for part in segmentation]
    except (TypeError, ValueError, OverflowError):
        raise ValueError("its mask is no list of outlines") from None
    if any(part.ndim != 1 or part.size % 2 for part in outlines):
        raise ValueError("its mask has an outline that is no list of pairs of numbers")
    outlines = [part for part in outlines if part.size >= 6]
    for part in outlines:
        _check_place(part.reshape(-1, 2), size)
    if not any(_area(part) > 0 for part in outlines):
        raise ValueError("its mask is empty")
    return Polygons(tuple(outlines))


def _area(outline: np.ndarray) -> float:
    x, y = outline[0::2], outline[1::2]
    last = x[-1] * y[0] - y[-1] * x[0]
    return abs(float(x[:-1] @ y[1:] - y[:-1] @ x[1:] + last)) / 2


def _check_place(corners: np.ndarray, size: tuple[int, int] | None) -> None:
    """Checks that the corners `[n, 2]` of an outline are finite, and not far beyond the image."""
    (left, top), (right, bottom) = corners.min(axis=0).tolist(), corners.max(axis=0).tolist()
    if not math.isfinite(left + top + right + bottom):
        raise ValueError("its mask has an outline with a number that is not finite")
    if size is not None:
        y, x = (_FARTHEST * side for side in size)
        if left < -x or top < -y or right > size[1] + x or bottom > size[0] + y:
            raise ValueError("its mask reaches far beyond the image")


def _read_runs(segmentation: dict[str, Any], size: tuple[int, int] | None) -> Runs:
    counts, own = segmentation.get("counts"), segmentation.get("size")
    is_size = isinstance(own, list | tuple) and len(own) == 2 and all(type(side) is int and side > 0 for side in own)
    if not is_size:
        raise ValueError("its mask has no size")
    height, width = own  # type: ignore[misc]
    if size is not None and (height, width) != tuple(size):
        raise ValueError(f"its mask is of {width} x {height} pixels, and the image of {size[1]} x {size[0]}")
    try:
        lengths = _lengths(counts)
    except (TypeError, ValueError, OverflowError, IndexError):
        raise ValueError("its mask has runs that cannot be read") from None
    if lengths.min(initial=0) < 0 or lengths.sum() != height * width:
        raise ValueError("its mask has runs that do not fill the image")
    if lengths[1::2].sum() == 0:
        raise ValueError("its mask is empty")
    return Runs(lengths, (height, width))


def _lengths(counts: Any) -> np.ndarray:
    """Returns the lengths of runs, which COCO also writes as text: numbers of base 32, each less the last but one."""
    if not isinstance(counts, str | bytes):
        if any(type(count) is not int for count in counts):
            raise TypeError
        return np.array(counts, np.int64)
    text = counts.encode("ascii") if isinstance(counts, str) else counts
    lengths: list[int] = []
    at = 0
    while at < len(text):
        value, shift, digit = 0, 0, 32
        while digit & 32:
            digit = text[at] - 48
            if not 0 <= digit < 64:
                raise ValueError
            value |= (digit & 31) << shift
            at, shift = at + 1, shift + 5
        if digit & 16:  # a negative number
            value -= 1 << shift
        lengths.append(value + lengths[-2] if len(lengths) > 2 else value)
    return np.array(lengths, np.int64)


def runs_of(pixels: np.ndarray) -> Runs:
    """Returns a mask as runs.

    Args:
        pixels: whether a pixel is inside, `[H, W] bool`.
    """
    flat = np.concatenate([[False], pixels.T.reshape(-1)])
    edges = np.flatnonzero(flat[1:] != flat[:-1])
    lengths = np.diff(np.concatenate([[0], edges, [pixels.size]]))
    return Runs(lengths.astype(np.int64), (pixels.shape[0], pixels.shape[1]))


def mask_bytes(mask: Mask) -> bytes:
    """Returns bytes that tell a mask from others."""
    if isinstance(mask, Runs):
        return repr(mask.size).encode() + mask.lengths.tobytes()
    return b"".join(len(part).to_bytes(4, "little") + part.tobytes() for part in mask.outlines)


def draw_masks(
    masks: Sequence[Mask], size: tuple[int, int], new_size: tuple[int, int], flipped: bool = False
) -> np.ndarray:
    """Draws the masks of an image that was resized, and flipped maybe.

    Outlines are scaled and drawn anew. Runs get the nearest pixel's value.

    Args:
        masks: the masks of n objects.
        size: the height and width of the image that they are masks of.
        new_size: the height and width to draw them at.
        flipped: whether the left and the right side are exchanged.

    Returns:
        Whether a pixel is inside each object, `[n, height, width] uint8`, 0 or 1.
    """
    drawn = np.zeros((len(masks), *new_size), np.uint8)
    for i, mask in enumerate(masks):
        if isinstance(mask, Runs):
            pixels = resize_nearest(_pixels(mask), new_size)
            drawn[i] = pixels[:, ::-1] if flipped else pixels
        else:
            drawn[i] = _draw_outlines(mask, size, new_size, flipped)
    return drawn


def _pixels(runs: Runs) -> np.ndarray:
    inside = np.repeat(np.arange(len(runs.lengths)) % 2, runs.lengths).astype(np.uint8)
    return inside.reshape(runs.size[1], runs.size[0]).T


def resize_nearest(pixels: np.ndarray, new_size: tuple[int, int]) -> np.ndarray:
    """Resizes a mask `[H, W]`: each new pixel has the value at its centre."""
    rows, columns = (
        (2 * np.arange(new) + 1) * old // (2 * new) for new, old in zip(new_size, pixels.shape, strict=True)
    )
    return pixels[rows[:, np.newaxis], columns]


def _draw_outlines(mask: Polygons, size: tuple[int, int], new_size: tuple[int, int], flipped: bool) -> np.ndarray:
    (height, width), scaled = new_size, []
    for part in mask.outlines:
        moved = part * np.tile([width / size[1], height / size[0]], len(part) // 2)
        if flipped:
            moved[0::2] = width - moved[0::2]
        scaled.append(moved.tolist())
    return coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects(scaled, height, width)))
