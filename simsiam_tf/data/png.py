"""Finds out how a PNG file is turned, without decoding its pixels, and whether it holds all of them.

Pillow decodes a PNG to look for EXIF behind its pixels. If that fails, a second attempt gives a picture that is black
from the damage on, and no error. The first must therefore be the one that counts. Pillow does not notice either if the
compressed data end with a row before the last one; what is missing is then black.
"""

import struct
import zlib
from collections.abc import Iterator
from typing import IO

import numpy as np
from PIL import Image

# The parts of a file that may say how it is turned, by their types and the beginnings of their content.
_TURNING = (
    (b"eXIf", b""),
    *((kind, b"Raw profile type exif\0") for kind in (b"tEXt", b"zTXt", b"iTXt")),
    (b"iTXt", b"XML:com.adobe.xmp\0"),
)
_RAW_PROFILE = "Raw profile type exif"
# The number of channels by the colour type of a PNG.
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
# The first column and row of each pass over an interlaced PNG, and the steps between its columns and rows.
_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
_PIECE = 1 << 20


def load(image: Image.Image) -> None:
    """Decodes an image of any format, and makes sure that a PNG holds all of its rows.

    Args:
        image: an image of Pillow. Nothing happens if it is decoded already.

    Raises:
        OSError: if the compressed data of a PNG end early.
        Exception: any error of Pillow, for a broken image.
    """
    file = getattr(image, "fp", None)  # Pillow lets go of it when the image is decoded
    image.load()
    if image.format != "PNG" or file is None or file.closed:
        return
    place = file.tell()
    try:
        file.seek(16)
        header = struct.unpack(">IIBBBBB", file.read(13))
        # Rows that are missing are black in Pillow's picture, so that it alone shows that most files are complete.
        last_row = image.crop((0, image.height - 1, image.width, image.height))
        if header[-1] or not np.asarray(last_row).any():
            wanted, found = _length_of_rows(*header), _length_of_data(file)
            if found < wanted:
                raise OSError(f"the compressed data of the PNG end early: {found} bytes of {wanted}")
    finally:
        file.seek(place)


def _length_of_rows(width: int, height: int, depth: int, colour: int, _: int, __: int, interlaced: int) -> int:
    """Returns the number of bytes of a PNG's rows, each with the byte of its filter."""
    bits, total = depth * _CHANNELS[colour], 0
    for left, top, right, down in _PASSES if interlaced else ((0, 0, 1, 1),):
        columns, rows = max(0, -(-(width - left) // right)), max(0, -(-(height - top) // down))
        total += rows * (1 + -(-columns * bits // 8)) if columns else 0
    return total


def _length_of_data(file: IO[bytes]) -> int:
    """Returns the number of bytes that a PNG's compressed data hold."""
    decoder, total, position = zlib.decompressobj(), 0, 8
    while not decoder.eof:
        file.seek(position)
        head = file.read(8)
        if len(head) < 8:
            break
        length, kind = struct.unpack(">I4s", head)
        position += 12 + length
        content = file.read(length) if kind == b"IDAT" else b""
        while content and not decoder.eof:
            total += len(decoder.decompress(content, _PIECE))
            content = decoder.unconsumed_tail
    return total


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
        load(image)
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
