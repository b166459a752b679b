"""Finds out how a PNG file is turned, without decoding its pixels.

Pillow decodes a PNG to look for EXIF behind its pixels. If that fails, a second attempt gives a picture that is black
from the damage on, and no error. The first must therefore be the one that counts.
"""

import struct
from collections.abc import Iterator

from PIL import Image

# The parts of a file that may say how it is turned, by their types and the beginnings of their content.
_TURNING = (
    (b"eXIf", b""),
    *((kind, b"Raw profile type exif\0") for kind in (b"tEXt", b"zTXt", b"iTXt")),
    (b"iTXt", b"XML:com.adobe.xmp\0"),
)
_RAW_PROFILE = "Raw profile type exif"


def read_exif(image: Image.Image, data: bytes) -> None:
    """Gives an opened PNG its EXIF block, so that Pillow does not decode the image to look for one.

    Args:
        image: an image of Pillow, not decoded yet. In the rare case that EXIF lies behind the pixels, it is decoded.
        data: the content of the file.

    Raises:
        Exception: any error of Pillow, for a broken image that is decoded.
    """
    if _is_behind_pixels(data):
        image.load()
    profile = str(image.info.get(_RAW_PROFILE, ""))
    try:  # three lines are its head: an empty one, its kind and its length
        image.info.setdefault("exif", bytes.fromhex("".join(profile.split("\n")[3:])))
    except ValueError:  # a broken block is no reason to leave the picture out
        image.info["exif"] = b""


def _is_behind_pixels(data: bytes) -> bool:
    seen = False
    for kind, start in _chunks(data):
        seen = seen or kind == b"IDAT"
        if seen and any(kind == k and data.startswith(begin, start) for k, begin in _TURNING):
            return True
    return False


def _chunks(data: bytes) -> Iterator[tuple[bytes, int]]:
    """Yields the type of each part of a PNG file, and where its content begins."""
    position = 8
    while position + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, position)
        yield kind, position + 8
        position += 12 + length
