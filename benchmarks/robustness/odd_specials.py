"""Makes files that claim or unpack to too much, hold several pictures, or are no pictures."""

import random
import struct
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from odd_png import chunk, claimed, parts_of_png, png_with
from odd_tiff import grey_tiff
from pictures import Case, encode, picture
from PIL import Image


def no_pictures() -> Iterator[Case]:
    """Makes files that are no pictures, and pictures under the endings of other formats."""
    levels = picture(40, 30, 3)
    png = encode(Image.fromarray(levels), "PNG")
    for ending in (
        ".png",
        ".jpg",
        ".tif",
        ".gif",
        ".webp",
        ".bmp",
        ".tga",
        ".ico",
        ".jp2",
        ".avif",
        ".qoi",
        ".pcx",
        ".sgi",
        ".ppm",
    ):
        yield Case(f"empty{ending}", b"")
        yield Case(f"text{ending}", b"no image\n" * 20)
        yield Case(f"zeros{ending}", bytes(3000))
        yield Case(f"noise{ending}", random.Random(ending).randbytes(3000))
        yield Case(f"a-png{ending}", png, levels)


def claims() -> Iterator[Case]:
    """Makes files that claim a size, and hold few pixels."""
    levels = picture(40, 30, 3)
    for width, height in ((60_000, 60_000), (2**31 - 1, 2**31 - 1), (0, 0), (0, 5), (14_000, 14_000), (1, 190_000_000)):
        for depth, colour in ((8, 2), (1, 0), (16, 6)):
            yield Case(f"claims-{width}x{height}-{depth}-{colour}.png", claimed(width, height, depth, colour))
        yield Case(f"claims-{width}x{height}.ppm", f"P6 {width} {height} 255\n".encode() + bytes(100))
        yield Case(
            f"claims-{width}x{height}.gif", b"GIF89a" + struct.pack("<HH", width % 65536, height % 65536) + bytes(9)
        )
        yield Case(f"claims-{width}x{height}.tif", grey_tiff(levels[..., 0], 8, 1, "<", t256=width, t257=height))
        size = struct.pack("<ii", width % 2**31, height % 2**31)
        head = struct.pack("<II", 54, 40) + size + struct.pack("<HH", 1, 24) + bytes(24)
        yield Case(f"claims-{width}x{height}.bmp", b"BM" + struct.pack("<IHH", 154, 0, 0) + head + bytes(100))
        yield Case(f"claims-{width}x{height}.qoi", b"qoif" + struct.pack(">IIBB", width, height, 3, 0) + bytes(100))


def bombs() -> Iterator[Case]:
    """Makes PNG files whose parts unpack to 200 MiB."""
    levels = picture(40, 30, 3)
    png = encode(Image.fromarray(levels), "PNG")
    bomb = zlib.compress(bytes(200 << 20), 9)
    for name, part in (
        ("ztxt", chunk(b"zTXt", b"Comment\0\0" + bomb)),
        ("itxt", chunk(b"iTXt", b"Comment\0\1\0\0\0" + bomb)),
        ("iccp", chunk(b"iCCP", b"icc\0\0" + bomb)),
        ("raw", chunk(b"zTXt", b"Raw profile type exif\0\0" + bomb)),
        ("exif", chunk(b"eXIf", bytes(5 << 20))),
    ):
        yield Case(f"bomb-{name}.png", png_with(png, part))
        yield Case(f"bomb-after-{name}.png", png_with(png, part, False))
    parts = parts_of_png(png)
    yield Case("bomb-idat.png", png[:8] + parts[0] + chunk(b"IDAT", bomb) + parts[-1])


def frames_and_names() -> Iterator[Case]:
    """Makes files of several pictures, and files with odd names."""
    levels = picture(40, 30, 3)
    png = encode(Image.fromarray(levels), "PNG")
    frames = [Image.fromarray(picture(40, 30, i)) for i in range(3)]
    for form, ending, exact in (
        ("GIF", ".gif", False),
        ("PNG", ".png", True),
        ("WEBP", ".webp", True),
        ("TIFF", ".tif", True),
        ("AVIF", ".avif", False),
    ):
        options: dict[str, Any] = {"lossless": True} if form == "WEBP" else {}
        many = encode(frames[0], form, save_all=True, append_images=frames[1:], **options)
        yield Case(f"frames{ending}", many, np.asarray(frames[0]) if exact else None)
        yield Case(f"frames-cut{ending}", many[: len(many) * 2 // 3])
    for name in (
        "new\nline.png",
        "esc\x1b[31m.png",
        "sep\u2028.png",
        "データ.png",
        " .png",
        "-x.png",
        "a" * 251 + ".png",
        "q'\"`$(x).png",
        "caf\udce9.png",
        "x.PnG",
    ):
        yield Case(name, png, levels)
        yield Case(f"bad-{name}"[:255] if len(name) < 200 else "b" * 251 + ".png", png[:100])
