"""Makes odd image files from fixed seeds: every format and mode that Pillow writes, whole and damaged, and worse.

Each case has a name, the content of its file, and, where it is known without a decoder, the picture that is meant.
"""

import dataclasses
import io
import random
import struct
import warnings
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from PIL import Image

SIZES = [(1, 1), (1, 37), (37, 1), (3, 5), (64, 48), (257, 3), (2, 1200), (40, 40)]
# Formats, their endings, the modes to write, and options of Pillow.
LOSSLESS = [
    ("PNG", ".png", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"], [{}, {"optimize": True}, {"compress_level": 0}]),
    ("WEBP", ".webp", ["RGB", "RGBA"], [{"lossless": True, "exact": True}]),
    ("BMP", ".bmp", ["1", "L", "P", "RGB", "RGBA"], [{}]),
    ("DIB", ".dib", ["L", "RGB"], [{}]),
    ("TIFF", ".tif", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16"], [{}, {"big_tiff": True}]),
    (
        "TIFF",
        ".tiff",
        ["1", "L", "RGB", "I;16"],
        [{"compression": c} for c in ("tiff_lzw", "tiff_adobe_deflate", "packbits")],
    ),
    ("TIFF", ".tif", ["1"], [{"compression": "group4"}, {"compression": "group3"}]),
    ("GIF", ".gif", ["1", "L", "P"], [{}, {"interlace": 1}]),
    ("JPEG2000", ".jp2", ["L", "LA", "RGB", "RGBA", "I;16"], [{}, {"tile_size": (16, 16)}]),
    ("PPM", ".ppm", ["1", "L", "RGB", "I;16"], [{}]),
    ("TGA", ".tga", ["L", "LA", "P", "RGB", "RGBA"], [{}, {"compression": "tga_rle"}]),
    ("PCX", ".pcx", ["1", "L", "P", "RGB"], [{}]),
    ("SGI", ".sgi", ["L", "RGB", "RGBA"], [{}]),
    ("ICO", ".ico", ["RGB", "RGBA"], [{}, {"bitmap_format": "bmp"}]),
    ("QOI", ".qoi", ["RGB", "RGBA"], [{}]),
]
LOSSY = [
    ("JPEG", ".jpg", ["L", "RGB", "CMYK"], [{}, {"progressive": True}, {"quality": 1}, {"subsampling": 2}]),
    ("WEBP", ".webp", ["RGB", "RGBA"], [{}, {"quality": 1}]),
    ("AVIF", ".avif", ["RGB", "RGBA"], [{}]),
    ("MPO", ".mpo", ["RGB"], [{}]),
    ("TIFF", ".tif", ["F", "I", "LAB", "YCbCr"], [{}]),
]


@dataclasses.dataclass(frozen=True)
class Case:
    """Holds an odd file.

    Attributes:
        name: the name of the file.
        data: its content.
        meant: the picture, `[H, W, 3] uint8`; `None` if a decoder has to say it.
    """

    name: str
    data: bytes
    meant: np.ndarray | None = None


def picture(width: int, height: int, seed: int) -> np.ndarray:
    """Makes a picture `[H, W, 3] uint8` with gradients and noise."""
    chance = np.random.default_rng(seed)
    across, down = np.meshgrid(np.linspace(0, 200, width), np.linspace(0, 200, height))
    smooth = np.stack([across, down, (across + down) / 2], -1)
    return np.clip(smooth + chance.integers(0, 56, smooth.shape), 0, 255).astype(np.uint8)


def in_mode(levels: np.ndarray, mode: str) -> tuple[Image.Image, np.ndarray | None]:
    """Returns a picture as an image of some mode, and what it then shows as RGB, if that is exact."""
    colour, grey = Image.fromarray(levels), levels[..., 0]
    if mode == "I;16":
        deep = grey.astype(np.uint16) * 257
        return Image.fromarray(deep), np.repeat(grey[..., None], 3, -1)
    if mode in ("RGBA", "LA"):
        image = (colour if mode == "RGBA" else Image.fromarray(grey)).convert(mode)
        image.putalpha(Image.fromarray(np.maximum(levels[..., 1], 1)))
        return image, levels if mode == "RGBA" else np.repeat(grey[..., None], 3, -1)
    if mode in ("L", "1"):
        shown = grey if mode == "L" else np.where(grey > 100, 255, 0).astype(np.uint8)
        image = Image.fromarray(shown) if mode == "L" else Image.fromarray(shown > 0)
        return image, np.repeat(shown[..., None], 3, -1)
    if mode == "P":
        image = colour.quantize(16)
        return image, np.asarray(image.convert("RGB"))
    if mode in ("F", "I"):
        return Image.fromarray(grey.astype(np.float32 if mode == "F" else np.int32)), None
    return colour.convert(mode), levels if mode == "RGB" else None


def encode(image: Image.Image, form: str, **options: Any) -> bytes:
    """Returns the content of a file."""
    content = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        image.save(content, form, **options)
    return content.getvalue()


def whole(tables: list[Any], is_exact: bool) -> Iterator[Case]:
    """Makes a file of each format, mode and option, in several sizes."""
    for form, ending, modes, choices in tables:
        for mode in modes:
            for options in choices:
                for i, (width, height) in enumerate(SIZES):
                    image, meant = in_mode(picture(width, height, i), mode)
                    if form == "ICO":
                        options = {**options, "sizes": [(min(width, 256), min(height, 256))]}
                        meant = meant if width <= 256 and height <= 256 and mode == "RGBA" else None
                    try:
                        data = encode(image, form, **options)
                    except (OSError, ValueError, KeyError, SystemError):  # Pillow cannot write this
                        continue
                    text = "-".join(str(v) for v in options.values())
                    exact = is_exact and not (form == "JPEG2000" and min(width, height) < 4)
                    name = f"{form}-{mode}-{text}-{width}x{height}".replace(";", "_").replace(" ", "")
                    yield Case(f"{name}{ending}", data, meant if exact else None)


def damaged(cases: list[Case], count: int, seed: int) -> Iterator[Case]:
    """Damages whole files: cut short, bits flipped, bytes set, parts taken away or put in, endings exchanged."""
    chance = random.Random(seed)
    large = [case for case in cases if len(case.data) > 40]
    for number in range(count):
        case = chance.choice(large)
        data, kind = (
            bytearray(case.data),
            chance.choice(["cut", "flip", "flip", "head", "blank", "take", "put", "ending"]),
        )
        place, ending = chance.randrange(len(data)), case.name[case.name.rindex(".") :]
        if kind == "cut":
            del data[place:]
        elif kind == "flip":
            for _ in range(chance.choice([1, 1, 2, 20])):
                data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        elif kind == "head":
            for _ in range(chance.randint(1, 4)):
                data[chance.randrange(min(64, len(data)))] = chance.choice([0, 1, 0x7F, 0x80, 0xFF])
        elif kind == "blank":
            data[place : place + 30] = bytes(len(data[place : place + 30]))
        elif kind == "take":
            del data[place : place + chance.randint(1, 50)]
        elif kind == "put":
            data[place:place] = chance.randbytes(chance.randint(1, 50))
        else:
            ending = chance.choice([".jpg", ".png", ".tif", ".bmp", ".tga", ".ppm", ".ico", ".gif", ".PNG", ".JPEG"])
        yield Case(f"{kind}-{number}-{case.name.rpartition('.')[0]}{ending}", bytes(data))


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
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
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


def specials() -> Iterator[Case]:
    """Makes files that claim too much, unpack to too much, hold several pictures, or are no pictures."""
    levels = picture(40, 30, 3)
    image = Image.fromarray(levels)
    png = encode(image, "PNG")
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
    for width, height in ((60_000, 60_000), (2**31 - 1, 2**31 - 1), (0, 0), (0, 5), (14_000, 14_000), (1, 190_000_000)):
        for depth, colour in ((8, 2), (1, 0), (16, 6)):
            yield Case(f"claims-{width}x{height}-{depth}-{colour}.png", claimed(width, height, depth, colour))
        yield Case(f"claims-{width}x{height}.ppm", f"P6 {width} {height} 255\n".encode() + bytes(100))
        yield Case(
            f"claims-{width}x{height}.gif", b"GIF89a" + struct.pack("<HH", width % 65536, height % 65536) + bytes(9)
        )
        yield Case(f"claims-{width}x{height}.tif", grey_tiff(levels[..., 0], 8, 1, "<", t256=width, t257=height))
        head = struct.pack("<IIiiHHIIiiII", 54, 40, width % 2**31, height % 2**31, 1, 24, 0, 0, 0, 0, 0, 0)
        yield Case(f"claims-{width}x{height}.bmp", b"BM" + struct.pack("<IHH", 154, 0, 0) + head + bytes(100))
        yield Case(f"claims-{width}x{height}.qoi", b"qoif" + struct.pack(">IIBB", width, height, 3, 0) + bytes(100))
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


def all_cases() -> list[Case]:
    """Makes all files of this module, always the same."""
    exact = list(whole(LOSSLESS, True))
    lossy = list(whole(LOSSY, False))
    cases = [*exact, *lossy, *damaged([*exact, *lossy], 1200, 1), *tiffs(200, 2), *with_exif(), *specials()]
    return list({case.name: case for case in cases}.values())
