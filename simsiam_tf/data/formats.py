"""Lists the image formats that are read, and the endings of their files.

Only these formats are ever opened, whatever a file is called. Pillow knows more: some of them start other programs
(EPS starts Ghostscript), and some hold data that is no picture.
"""

import functools
import importlib
import importlib.util

FORMATS = (
    "JPEG",  # and MPO, a JPEG with a second picture, from many phones, which Pillow opens as one
    "PNG",
    "WEBP",
    "BMP",
    "DIB",
    "TIFF",
    "GIF",
    "AVIF",
    "JPEG2000",
    "PPM",
    "TGA",
    "PCX",
    "SGI",
    "ICO",
    "QOI",
)
# The endings of HEIC, the format of many phones, which need the package pillow-heif.
HEIF_ENDINGS = (".heic", ".heif", ".hif")
_ENDINGS = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"),
    "PNG": (".png", ".apng"),
    "WEBP": (".webp",),
    "BMP": (".bmp",),
    "DIB": (".dib",),
    "TIFF": (".tif", ".tiff"),
    "GIF": (".gif",),
    "AVIF": (".avif", ".avifs"),
    "JPEG2000": (".jp2", ".j2k", ".jpc", ".jpf", ".jpx", ".j2c"),
    "PPM": (".pbm", ".pgm", ".ppm", ".pnm", ".pfm"),
    "TGA": (".tga", ".icb", ".vda", ".vst"),
    "PCX": (".pcx",),
    "SGI": (".sgi", ".rgb", ".rgba", ".bw"),
    "ICO": (".ico",),
    "QOI": (".qoi",),
    "HEIF": HEIF_ENDINGS,
}


@functools.cache
def readable_formats() -> tuple[str, ...]:
    """Returns the formats that Pillow can open here, by Pillow's names; HEIF among them if pillow-heif is installed."""
    from PIL import Image

    # Our own limit, --max_pixels, takes the place of Pillow's, which is a warning first and an error later.
    Image.MAX_IMAGE_PIXELS = None
    Image.init()
    if has_heif():
        importlib.import_module("pillow_heif").register_heif_opener()
        return (*(name for name in FORMATS if name in Image.OPEN), "HEIF")
    return tuple(name for name in FORMATS if name in Image.OPEN)


def has_heif() -> bool:
    """Returns whether the package pillow-heif is installed."""
    return importlib.util.find_spec("pillow_heif") is not None


@functools.cache
def readable_endings() -> frozenset[str]:
    """Returns the endings of the files that can be read here, in lower case, each with its dot."""
    return frozenset(ending for name in readable_formats() for ending in _ENDINGS[name])
