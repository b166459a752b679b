"""From a file's bytes to the parts of the image that its views show. Pillow, as in torchvision: the same pixels."""

import concurrent.futures
import functools
import io
import math
from collections.abc import Sequence

import numpy as np
from PIL import Image, UnidentifiedImageError

from simsiam_tf.augment.ops import Box
from simsiam_tf.host import usable_cores

# Pillow's JPEG decoder can leave out detail that a much smaller crop would not show. This many times the size of
# the crop it must keep for the result to be within a level of the whole image's.
_DETAIL = 2


def open_image(data: bytes) -> Image.Image:
    """An image of which only the header is read yet.

    Args:
        data: a file's content.

    Raises:
        Exception: whatever Pillow raises at bytes that are no image.
    """
    try:
        return Image.open(io.BytesIO(data))
    except UnidentifiedImageError:
        raise OSError("no image of a kind that Pillow reads") from None


def crop_views(
    image: Image.Image, boxes: Sequence[Box], sides: Sequence[int], bounded: Sequence[bool]
) -> list[Image.Image]:
    """Decodes an image and resizes parts of it with Pillow's antialiased bilinear filter.

    Args:
        image: as from `open_image`.
        boxes: V of them: top, left, height, width, pixels.
        sides: of the results, pixels.
        bounded: for each box, whether the filter stops at its edge, as when torchvision crops and then resizes;
            such a box is of whole pixels.

    Returns:
        V square images, RGB.

    Raises:
        Exception: whatever Pillow raises at a truncated or broken file.
    """
    full_size = image.size
    _leave_out_detail(image, min(min(box[2:]) / side for box, side in zip(boxes, sides, strict=True)))
    image = to_rgb(image)
    image.load()
    if image.size != full_size:
        x, y = (now / full for now, full in zip(image.size, full_size, strict=True))
        boxes = [(top * y, left * x, height * y, width * x) for top, left, height, width in boxes]
        bounded = [False] * len(boxes)  # they are no whole pixels any more
    views = []
    for (top, left, height, width), side, cut_first in zip(boxes, sides, bounded, strict=True):
        corners = (left, top, left + width, top + height)
        part, box = (image.crop(corners), None) if cut_first else (image, corners)
        views.append(part.resize((side, side), Image.Resampling.BILINEAR, box=box))
    return views


def _leave_out_detail(image: Image.Image, shrinkage: float) -> None:
    """Has a large JPEG decoded at a half, a quarter or an eighth, where all its views shrink it by much more."""
    ratio = shrinkage / _DETAIL
    if ratio >= 2:
        image.draft(None, (int(image.width / ratio), int(image.height / ratio)))


def to_rgb(image: Image.Image) -> Image.Image:
    """Converts any kind of image to RGB: grey, palette, CMYK, 16 bits; transparency is dropped, as torchvision does."""
    if image.mode.startswith(("I", "F")):
        levels = np.asarray(image)
        if levels.dtype.kind != "u" and levels.max(initial=0) < 256:
            image = Image.fromarray(np.clip(levels, 0, 255).astype(np.uint8))
        else:  # Pillow itself would clip 16 bits to white
            image = Image.fromarray((np.clip(levels, 0, 65535) / 257).round().astype(np.uint8))
    return image if image.mode == "RGB" else image.convert("RGB")


@functools.cache
def threads() -> concurrent.futures.Executor:
    """Pillow lets go of Python's lock while it decodes and resizes."""
    return concurrent.futures.ThreadPoolExecutor(usable_cores(), "decode")


def empty_images(shape: tuple[int, ...]) -> np.ndarray:
    """A uint8 array that TensorFlow takes over as it is: it copies those that do not start at a multiple of 64."""
    size = math.prod(shape)
    held = np.empty(size + 64, np.uint8)
    start = -held.ctypes.data % 64
    return held[start : start + size].reshape(shape)
