"""Makes TIFF files by hand, from fixed seeds."""

import random
import struct
from collections.abc import Iterator

import numpy as np
from pictures import SIZES, Case, picture


def tiff(tags: dict[int, tuple[int, tuple[int, ...]]], pixels: bytes, order: str = "<") -> bytes:
    """Writes a TIFF file by hand: tags with their type (3: 16 bits, 4: 32 bits) and values, and the pixels."""
    head = struct.pack(f"{order}2sHI", b"II" if order == "<" else b"MM", 42, 8)
    entries, extra = b"", b""
    at = 8 + 2 + 12 * len(tags) + 4
    for tag, (kind, values) in sorted(tags.items()):
        packed = struct.pack(f"{order}{len(values)}{'H' if kind == 3 else 'I'}", *values)
        if len(packed) > 4:
            packed, extra = struct.pack(f"{order}I", at + len(extra)), extra + packed
        entries += struct.pack(f"{order}HHI", tag, kind, len(values)) + packed.ljust(4, b"\0")
    offset = at + len(extra)
    body = head + struct.pack(f"{order}H", len(tags)) + entries + bytes(4) + extra
    marker = struct.pack(f"{order}I", 0xDEADBEEF)
    return body.replace(marker, struct.pack(f"{order}I", offset)) + pixels


def grey_tiff(levels: np.ndarray, bits: int, photometric: int, order: str, **other: int) -> bytes:
    """Writes a grey TIFF of 8 or 16 bits by hand; other tags are named `t` and their number."""
    height, width = levels.shape
    values = levels if bits == 8 else levels.astype(np.uint16) * 257
    values = values if photometric == 1 else (255 if bits == 8 else 65535) - values
    content = values.astype(f"{order}u{bits // 8}").tobytes()
    tags = {256: (4, (width,)), 257: (4, (height,)), 258: (3, (bits,)), 259: (3, (1,)), 262: (3, (photometric,))}
    tags |= {273: (4, (0xDEADBEEF,)), 277: (3, (1,)), 278: (4, (height,)), 279: (4, (len(content),))}
    tags |= {int(name[1:]): (4, (value,)) for name, value in other.items()}
    return tiff(tags, content, order)


def tiffs(count: int, seed: int) -> Iterator[Case]:
    """Makes TIFF files by hand: black and white exchanged, both byte orders, and tags without sense."""
    chance = random.Random(seed)
    for i, (width, height) in enumerate(SIZES):
        grey = picture(width, height, i)[..., 0]
        for bits in (8, 16):
            for photometric in (0, 1):
                for order in "<>":
                    data = grey_tiff(grey, bits, photometric, order)
                    name = f"tiff-{bits}-{photometric}-{'le' if order == '<' else 'be'}-{width}x{height}.tif"
                    yield Case(name, data, np.repeat(grey[..., None], 3, -1))
    grey = picture(24, 16, 0)[..., 0]
    for number in range(count):
        tag = chance.choice(
            [256, 257, 258, 259, 262, 266, 273, 274, 277, 278, 279, 282, 284, 296, 317, 320, 322, 338, 339]
        )
        value = chance.choice([0, 1, 2, 3, 5, 7, 9, 12, 32, 255, 1000, 65535, 2**31 - 1, 2**32 - 1])
        data = grey_tiff(grey, chance.choice([8, 16]), chance.choice([0, 1]), chance.choice("<>"), **{f"t{tag}": value})
        yield Case(f"tag-{number}-{tag}-{value}.tif", data)
