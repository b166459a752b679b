"""Makes odd image files from fixed seeds: every format and mode that Pillow writes, whole and damaged, and worse.

Each case has a name, the content of its file, and, where it is known without a decoder, the picture that is meant.
"""

import random
from collections.abc import Iterator
from typing import Any

from odd_png import with_exif
from odd_specials import bombs, claims, frames_and_names, no_pictures
from odd_tiff import tiffs
from pictures import SIZES, Case, encode, in_mode, picture

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
                    # Pillow writes wrong tiles of 16 bits, which OpenJPEG reads as we do.
                    is_doubtful = form == "JPEG2000" and (min(width, height) < 4 or (mode == "I;16" and options))
                    exact = is_exact and not is_doubtful
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


def all_cases() -> list[Case]:
    """Makes all files of this module, always the same."""
    exact = list(whole(LOSSLESS, True))
    lossy = list(whole(LOSSY, False))
    cases = [*exact, *lossy, *damaged([*exact, *lossy], 1200, 1), *tiffs(200, 2), *with_exif(), *no_pictures()]
    cases += [*claims(), *bombs(), *frames_and_names()]
    return list({case.name: case for case in cases}.values())
