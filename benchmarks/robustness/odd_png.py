"""Takes PNG files apart and puts them together, and makes files that say how they are turned."""

import struct
import zlib
from collections.abc import Iterator

import numpy as np
from pictures import Case, encode, picture
from PIL import Image


def chunk(kind: bytes, content: bytes) -> bytes:
    """Returns a part of a PNG file with its checksum."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def parts_of_png(data: bytes) -> list[bytes]:
    """Returns the parts of a PNG file, without its signature."""
    parts, position = [], 8
    while position < len(data):
        length = 12 + struct.unpack_from(">I", data, position)[0]
        parts.append(data[position : position + length])
        position += length
    return parts


def png_with(data: bytes, extra: bytes, before_pixels: bool = True) -> bytes:
    """Puts a part into a PNG file, before its pixels or after them."""
    parts = parts_of_png(data)
    place = next(i for i, part in enumerate(parts) if part[4:8] == b"IDAT") if before_pixels else len(parts) - 1
    return data[:8] + b"".join([*parts[:place], extra, *parts[place:]])


def claimed(width: int, height: int, depth: int = 8, colour: int = 2) -> bytes:
    """Returns a PNG file that claims a size and holds few pixels."""
    head = chunk(b"IHDR", struct.pack(">IIBB", width, height, depth, colour) + bytes(3))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


def turned(levels: np.ndarray, orientation: int) -> np.ndarray:
    """Returns the upright picture of pixels that are stored with an orientation of EXIF, after the standard's table."""
    flip = {2: levels[:, ::-1], 3: levels[::-1, ::-1], 4: levels[::-1]}
    swap = levels.transpose(1, 0, 2)
    flip |= {5: swap, 6: swap[:, ::-1], 7: swap[::-1, ::-1], 8: swap[::-1]}
    return flip.get(orientation, levels)


def with_exif() -> Iterator[Case]:
    """Makes files with orientations, possible and not, and with broken blocks."""
    levels = picture(30, 20, 7)
    image = Image.fromarray(levels)
    for orientation in (*range(1, 9), 0, 9, 255, 65535):
        exif = Image.Exif()
        exif[0x0112] = orientation
        block, upright = exif.tobytes(), turned(levels, orientation)
        for form, ending, exact in (
            ("PNG", ".png", True),
            ("JPEG", ".jpg", False),
            ("TIFF", ".tif", True),
            ("AVIF", ".avif", False),
        ):
            options = {"exif": block} if form != "TIFF" else {"tiffinfo": {274: orientation}}
            yield Case(f"exif-{orientation}{ending}", encode(image, form, **options), upright if exact else None)
        webp = encode(image, "WEBP", exif=block, lossless=True)
        yield Case(f"exif-{orientation}.webp", webp, upright)
        plain = encode(image, "PNG")
        bare = block.removeprefix(b"Exif\0\0")
        yield Case(f"exif-after-{orientation}.png", png_with(plain, chunk(b"eXIf", bare), False), upright)
        raw = f"\nexif\n{len(block):8}\n{block.hex()}\n".encode()
        profile = chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(raw))
        yield Case(f"exif-raw-{orientation}.png", png_with(plain, profile), upright)
        yield Case(f"exif-raw-after-{orientation}.png", png_with(plain, profile, False), upright)
    for number, broken in enumerate(
        [b"", b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\xff", b"x" * 60_000, b"Exif\0\0MM\0*\0\0\0\x08\xff\xff"]
    ):
        yield Case(f"exif-broken-{number}.jpg", encode(image, "JPEG", exif=broken))
        yield Case(f"exif-broken-{number}.png", png_with(encode(image, "PNG"), chunk(b"eXIf", broken)), levels)
        yield Case(
            f"exif-broken-after-{number}.png", png_with(encode(image, "PNG"), chunk(b"eXIf", broken), False), levels
        )
    for number, broken in enumerate([b"", b"x", b"\0" * 128, b"\xff" * 5000]):
        yield Case(f"icc-broken-{number}.jpg", encode(image, "JPEG", icc_profile=broken))
        yield Case(f"icc-broken-{number}.png", encode(image, "PNG", icc_profile=broken), levels)
        yield Case(f"icc-broken-{number}.tif", encode(image, "TIFF", icc_profile=broken), levels)
