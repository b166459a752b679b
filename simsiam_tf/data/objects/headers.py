"""Reads the sizes of images from the beginnings of their files, for annotations that do not give them."""

from collections.abc import Sequence

from simsiam_tf.data import decoding
from simsiam_tf.data.encoded import EncodedImages
from simsiam_tf.data.pixels import upright_size


def size_in_header(files: EncodedImages, position: int) -> tuple[int, int] | None:
    """Reads the height and width of an image once it is turned as --exif says; `None` if it cannot be read."""
    try:
        width, height = upright_size(decoding.open_image(files.load(position), files.pixels), files.pixels)
    except Exception:  # Pillow raises errors of many types; whoever reads the whole image says which
        return None
    return height, width


def with_sizes(files: EncodedImages, sizes: Sequence[tuple[int, int] | None]) -> list[tuple[int, int] | None]:
    """Returns the height and width of each image: those that are given, and the others from the images' headers."""
    missing = [i for i, size in enumerate(sizes) if size is None]
    found = decoding.threads().map(lambda i: size_in_header(files, i), missing)
    return list({**dict(enumerate(sizes)), **dict(zip(missing, found, strict=True))}.values())
