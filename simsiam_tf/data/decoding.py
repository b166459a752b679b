"""Decodes image files, and cuts out the part that each view shows.

Pillow decodes and resizes, as in torchvision, so the pixels are the same. Only large JPEG files that are shrunk a lot
may differ a little (see `_leave_out_detail`).
"""

import concurrent.futures
import contextlib
import functools
import io
import math
import threading
from collections.abc import Iterator, Sequence
from typing import IO, TYPE_CHECKING

import numpy as np
from PIL import Image, UnidentifiedImageError

from simsiam_tf.config.pixels import Pixels
from simsiam_tf.data.formats import readable_formats
from simsiam_tf.data.pixels import to_rgb, upright_size
from simsiam_tf.data.png import read_exif
from simsiam_tf.host import return_memory, usable_cores

if TYPE_CHECKING:
    from simsiam_tf.augment.ops import Box

# A large JPEG file is decoded at a reduced size only if every crop then still has at least this many times the side of
# its view. The view then differs by at most about one level of 255.
_DETAIL = 2
_AS_USUAL = Pixels()


def open_image(data: bytes | IO[bytes], pixels: Pixels = _AS_USUAL) -> Image.Image:
    """Opens an encoded image, and reads only its header.

    Args:
        data: the content of the image file, or the file itself.
        pixels: the meaning of the pixels, and how many there may be.

    Raises:
        OSError: if the content is no image of a format in `formats.FORMATS`, or has too many pixels.
        Exception: any other error of Pillow, for a broken image.
    """
    file = io.BytesIO(data) if isinstance(data, bytes) else data
    try:
        image = Image.open(file, formats=readable_formats())
    except UnidentifiedImageError:
        raise OSError("no image of a kind that is read here") from None
    if image.width * image.height > pixels.max_pixels:
        raise OSError(f"{image.width} x {image.height} pixels are more than --max_pixels={pixels.max_pixels}")
    if image.format == "PNG" and pixels.exif == "upright":
        read_exif(image, file)
    return image


def crop_views(
    image: Image.Image,
    boxes: Sequence["Box"],
    sides: Sequence[int],
    bounded: Sequence[bool],
    pixels: Pixels = _AS_USUAL,
) -> list[Image.Image]:
    """Decodes an image, and resizes a part of it for each view, with Pillow's antialiased bilinear filter.

    Args:
        image: an image from `open_image`, not decoded yet.
        boxes: V boxes: top, left, height, width, in pixels of the upright image.
        sides: the side of each view, in pixels.
        bounded: for each box, whether the filter uses only pixels inside the box, as when torchvision crops and then
            resizes. The edges of such a box must be whole pixels.
        pixels: the meaning of the pixels.

    Returns:
        V square RGB images.

    Raises:
        UnknownValuesError: if the range of the image's values is not known.
        Exception: any error of Pillow, for a truncated or broken image.
    """
    full_size = upright_size(image, pixels)
    with room.for_pixels(image.width * image.height):
        _leave_out_detail(image, min(min(box[2:]) / side for box, side in zip(boxes, sides, strict=True)))
        decoded, image = image, to_rgb(image, pixels)
        if image is not decoded:
            decoded.close()  # callers still hold it, and it may be a gigabyte
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


class Room:
    """Limits the number of pixels that all threads decode at the same time, and with it their memory.

    An image with more pixels than the limit is decoded alone.

    Args:
        pixels: the limit.
    """

    def __init__(self, pixels: int) -> None:
        self._limit, self._used = pixels, 0
        self._changed = threading.Condition()

    @contextlib.contextmanager
    def for_pixels(self, count: int) -> Iterator[None]:
        """Waits until an image of `count` pixels has room, and holds the room inside the `with` block."""
        with self._changed:
            self._changed.wait_for(lambda: self._used == 0 or self._used + count <= self._limit)
            self._used += count
        try:
            yield
        finally:
            if count > self._limit:
                return_memory()
            with self._changed:
                self._used -= count
                self._changed.notify_all()


# Pillow holds up to 8 bytes for a pixel while it converts one, so this is half a GiB.
room = Room(64 << 20)


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
