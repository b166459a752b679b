"""Reads the sizes of images from the beginnings of their files, for annotations that do not give them."""

from collections.abc import Sequence

from simsiam_tf.config.pixels import Pixels
from simsiam_tf.data import decoding
from simsiam_tf.data.encoded import EncodedImages
from simsiam_tf.data.pixels import upright_size
from simsiam_tf.files import is_refusal


def size_in_bytes(content: bytes, pixels: Pixels) -> tuple[int, int] | None:
    """Reads the height and width of an image once it is turned as --exif says; `None` if they cannot be read.

    Args:
        content: the content of the image's file.
        pixels: the meaning of the pixels.
    """
    try:
        width, height = upright_size(decoding.open_image(content, pixels), pixels)
    except Exception:  # Pillow raises errors of many types; whoever reads the whole image says which
        return None
    return height, width


def _size_of_file(files: EncodedImages, position: int) -> tuple[int, int] | None:
    try:
        return size_in_bytes(files.load(position), files.pixels)
    except OSError as error:
        if is_refusal(error):  # by a bucket: nothing is known of the image
            raise
        return None


def with_sizes(files: EncodedImages, sizes: Sequence[tuple[int, int] | None]) -> list[tuple[int, int] | None]:
    """Returns the height and width of each image: those that are given, and the others from the images' headers."""
    missing = [i for i, size in enumerate(sizes) if size is None]
    found = decoding.threads().map(lambda i: _size_of_file(files, i), missing)
    return list({**dict(enumerate(sizes)), **dict(zip(missing, found, strict=True))}.values())
