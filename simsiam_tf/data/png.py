"""Finds out how a PNG file is turned, without decoding its pixels.

Pillow decodes a PNG to look for EXIF behind its pixels. If that fails, a second attempt gives a picture that is black
from the damage on, and no error. The first must therefore be the one that counts.
"""

import struct
from collections.abc import Iterator
from typing import IO

from PIL import Image

# The parts of a file that may say how it is turned, by their types and the beginnings of their content.
_TURNING = (
    (b"eXIf", b""),
    *((kind, b"Raw profile type exif\0") for kind in (b"tEXt", b"zTXt", b"iTXt")),
    (b"iTXt", b"XML:com.adobe.xmp\0"),
)
_RAW_PROFILE = "Raw profile type exif"


def read_exif(image: Image.Image, file: IO[bytes]) -> None:
    """Gives an opened PNG its EXIF block, so that Pillow does not decode the image to look for one.

    Args:
        image: an image of Pillow, not decoded yet. In the rare case that EXIF lies behind the pixels, it is decoded.
        file: the file that it was opened from.

    Raises:
        Exception: any error of Pillow, for a broken image that is decoded.
    """
    place = file.tell()
    try:
        is_behind = _is_behind_pixels(file)
    finally:
        file.seek(place)
    if is_behind:
        image.load()
    profile = str(image.info.get(_RAW_PROFILE, ""))
    try:  # three lines are its head: an empty one, its kind and its length
        image.info.setdefault("exif", bytes.fromhex("".join(profile.split("\n")[3:])))
    except ValueError:  # a broken block is no reason to leave the picture out
        image.info["exif"] = b""


def _is_behind_pixels(file: IO[bytes]) -> bool:
    seen = False
    for kind, beginning in _chunks(file):
        seen = seen or kind == b"IDAT"
        if seen and any(kind == k and beginning.startswith(begin) for k, begin in _TURNING):
            return True
    return False


def _chunks(file: IO[bytes]) -> Iterator[tuple[bytes, bytes]]:
    """Yields the type of each part of a PNG file, and the beginning of its content."""
    position = file.seek(8)
    while len(head := file.read(8)) == 8:
        length, kind = struct.unpack(">I4s", head)
        yield kind, file.read(min(length, 32))
        position = file.seek(position + 12 + length)
