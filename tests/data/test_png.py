"""How a PNG is turned is known without decoding it, so that damage is always noticed."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from simsiam_tf.config.pixels import Pixels
from simsiam_tf.data.decoding import crop_views, open_image
from simsiam_tf.data.pixels import to_rgb, upright_size


def encoded(levels):
    content = io.BytesIO()
    Image.fromarray(levels).save(content, "PNG")
    return content.getvalue()


def part(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def read(data):
    image = open_image(data)
    width, height = upright_size(image, Pixels())
    return np.asarray(crop_views(image, [(0, 0, height, width)], [32], [True])[0]), (width, height)


@pytest.fixture
def levels(rng):
    return np.add.outer(np.arange(64), np.arange(0, 128, 2))[..., None].repeat(3, -1).astype(np.uint8) // 2


def test_a_damaged_png_is_unreadable_and_not_black_from_the_damage_on(levels, rng):
    data = encoded(levels)
    start = data.index(b"IDAT") + 4
    refused = 0
    for place in rng.integers(start + 2, len(data) - 16, 40):
        damaged = bytearray(data)
        damaged[place] ^= 1 << rng.integers(8)
        try:
            Image.open(io.BytesIO(bytes(damaged))).load()
        except OSError:
            refused += 1
            with pytest.raises(OSError, match=r"data stream|truncated"):
                read(bytes(damaged))
    assert refused >= 20


def test_the_size_is_known_without_decoding(levels):
    image = open_image(encoded(levels))
    upright_size(image, Pixels())
    assert image.tile


@pytest.mark.parametrize("form", ["exif", "profile"])
@pytest.mark.parametrize("is_behind", [False, True])
def test_a_png_is_turned_wherever_its_exif_lies(levels, form, is_behind):
    exif = Image.Exif()
    exif[0x0112] = 6
    block = exif.tobytes()
    raw = f"\nexif\n{len(block):8}\n{block.hex()}\n".encode()
    profile = part(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(raw))
    extra = part(b"eXIf", block.removeprefix(b"Exif\0\0")) if form == "exif" else profile
    data = encoded(levels[:40])
    place = data.index(b"IEND" if is_behind else b"IDAT") - 4
    found, size = read(data[:place] + extra + data[place:])
    assert size == (40, 64)
    np.testing.assert_array_equal(found, read(encoded(np.rot90(levels[:40], -1)))[0])


def test_a_broken_exif_block_leaves_the_picture(levels):
    data = encoded(levels)
    place = data.index(b"IDAT") - 4
    profile = part(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(b"a\nb\nc\nxyz"))
    for extra in (part(b"eXIf", b"x" * 9), profile):
        np.testing.assert_array_equal(read(data[:place] + extra + data[place:])[0], read(data)[0])


def png(levels, kind, interlaced=False, keep=1.0):
    """Returns a PNG, written by hand, whose compressed data hold only the first part of its rows."""
    height, width = levels.shape[:2]
    passes = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
    rows = []
    for left, top, right, down in passes if interlaced else ((0, 0, 1, 1),):
        for row in levels[top::down, left::right]:
            rows += [b"\0" + row.tobytes()] if row.size else []
    header = struct.pack(">II", width, height) + bytes((8, kind, 0, 0, interlaced))
    content = zlib.compress(b"".join(rows[: int(keep * len(rows))]))
    return b"\x89PNG\r\n\x1a\n" + part(b"IHDR", header) + part(b"IDAT", content) + part(b"IEND", b"")


@pytest.mark.parametrize("interlaced", [False, True], ids=["rows", "interlaced"])
@pytest.mark.parametrize(("shape", "kind"), [((64, 64, 3), 2), ((33, 21), 0), ((2, 9, 4), 6), ((5, 1, 2), 4)])
def test_a_png_that_lacks_rows_is_unreadable(rng, shape, kind, interlaced):
    levels = rng.integers(1, 256, shape, np.uint8)
    read(png(levels, kind, interlaced))
    lacking = png(levels, kind, interlaced, keep=0.7)
    Image.open(io.BytesIO(lacking)).load()  # Pillow says nothing
    with pytest.raises(OSError, match="the compressed data of the PNG end early"):
        read(lacking)


def test_a_png_that_lacks_rows_before_its_exif_is_unreadable(rng):
    lacking = png(rng.integers(1, 256, (64, 64, 3), np.uint8), 2, keep=0.7)
    behind = lacking[:-12] + part(b"eXIf", b"MM\0*\0\0\0\x08\0\0\0\0\0\0") + lacking[-12:]
    with pytest.raises(OSError, match="the compressed data of the PNG end early"):
        read(behind)


def test_a_png_with_a_black_last_row_is_read(rng):
    levels = rng.integers(1, 256, (40, 30, 3), np.uint8)
    levels[-5:] = 0
    for data in (png(levels, 2), png(levels, 2, interlaced=True)):
        np.testing.assert_array_equal(np.asarray(to_rgb(open_image(data), Pixels())), levels)
    assert not read(encoded(np.zeros((64, 64, 3), np.uint8)))[0].any()
