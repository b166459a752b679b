"""Decodes image files, and cuts out the part that each view shows.

Pillow decodes and resizes, as in torchvision, so the pixels are the same. Only large JPEG files that are shrunk a lot
may differ a little (see `_leave_out_detail`).
"""

import concurrent.futures
import functools
import io
import math
from collections.abc import Sequence

import numpy as np
from PIL import Image, UnidentifiedImageError

from simsiam_tf.augment.ops import Box
from simsiam_tf.host import usable_cores

# A large JPEG file is decoded at a reduced size only if every crop then still has at least this many times the side of
# its view. The view then differs by at most about one level of 255.
_DETAIL = 2


def open_image(data: bytes) -> Image.Image:
    """Opens an encoded image, and reads only its header.

    Args:
        data: the content of the image file.

    Raises:
        OSError: if Pillow does not recognise the content as an image.
        Exception: any other error of Pillow, for a broken image.
    """
    try:
        return Image.open(io.BytesIO(data))
    except UnidentifiedImageError:
        raise OSError("no image of a kind that Pillow reads") from None


def crop_views(
    image: Image.Image, boxes: Sequence[Box], sides: Sequence[int], bounded: Sequence[bool]
) -> list[Image.Image]:
    """Decodes an image, and resizes a part of it for each view, with Pillow's antialiased bilinear filter.

    Args:
        image: an image from `open_image`, not decoded yet.
        boxes: V boxes: top, left, height, width, in pixels.
        sides: the side of each view, in pixels.
        bounded: for each box, whether the filter uses only pixels inside the box, as when torchvision crops and then
            resizes. The edges of such a box must be whole pixels.

    Returns:
        V square RGB images.

    Raises:
        Exception: any error of Pillow, for a truncated or broken image.
    """
    full_size = image.size
    _leave_out_detail(image, min(min(box[2:]) / side for box, side in zip(boxes, sides, strict=True)))
    image = to_rgb(image)
    image.load()
    if image.size != full_size:
        x, y = (now / full for now, full in zip(image.size, full_size, strict=True))
        boxes = [(top * y, left * x, height * y, width * x) for top, left, height, width in boxes]
        bounded = [False] * len(boxes)  # scaled boxes no longer have whole pixels
    views = []
    for (top, left, height, width), side, cut_first in zip(boxes, sides, bounded, strict=True):
        corners = (left, top, left + width, top + height)
        part, box = (image.crop(corners), None) if cut_first else (image, corners)
        views.append(part.resize((side, side), Image.Resampling.BILINEAR, box=box))
    return views


def _leave_out_detail(image: Image.Image, shrinkage: float) -> None:
    """Tells Pillow to decode a large JPEG at 1/2, 1/4 or 1/8 of its size, if every view shrinks it by much more."""
    ratio = shrinkage / _DETAIL
    if ratio >= 2:
        image.draft(None, (int(image.width / ratio), int(image.height / ratio)))


def to_rgb(image: Image.Image) -> Image.Image:
    """Converts an image of any kind (grey, palette, CMYK, 16 bits) to RGB.

    Transparency is dropped, as in torchvision.
    """
    if image.mode.startswith(("I", "F")):
        levels = np.asarray(image)
        if levels.dtype.kind != "u" and levels.max(initial=0) < 256:
            image = Image.fromarray(np.clip(levels, 0, 255).astype(np.uint8))
        else:  # Pillow would clip 16-bit levels to white
            image = Image.fromarray((np.clip(levels, 0, 65535) / 257).round().astype(np.uint8))
    return image if image.mode == "RGB" else image.convert("RGB")


@functools.cache
def threads() -> concurrent.futures.Executor:
    """Returns the pool of decoding threads, one for each usable core.

    Threads run in parallel here, because Pillow releases Python's lock while it decodes and resizes.
    """
    return concurrent.futures.ThreadPoolExecutor(usable_cores(), "decode")


def empty_images(shape: tuple[int, ...]) -> np.ndarray:
    """Allocates an uninitialised uint8 array that TensorFlow can use without copying it.

    TensorFlow copies arrays whose memory does not start at a multiple of 64 bytes.
    """
    size = math.prod(shape)
    held = np.empty(size + 64, np.uint8)
    start = -held.ctypes.data % 64
    return held[start : start + size].reshape(shape)
