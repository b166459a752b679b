"""Makes a plain, upright RGB JPEG of an image of any kind."""

import dataclasses
import io

import numpy as np
import tensorflow as tf
from PIL import Image

from simsiam_tf.config.pixels import Pixels
from simsiam_tf.data.decoding import open_image, room
from simsiam_tf.data.pixels import orientation, to_rgb


@dataclasses.dataclass(frozen=True)
class PlainJpeg:
    """Holds a plain, upright RGB JPEG.

    Attributes:
        data: the content of the file.
        width: the width in pixels.
        height: the height in pixels.
    """

    data: bytes
    width: int
    height: int


def plain_jpeg(data: bytes, pixels: Pixels, max_side: int = 0, quality: int = 95) -> PlainJpeg:
    """Returns an image as a JPEG that TensorFlow decodes to the same pixels as Pillow.

    A JPEG that is upright, RGB and small enough already is returned as it is.

    Args:
        data: the content of an image file.
        pixels: the meaning of its pixels.
        max_side: the length in pixels that the longer side has at most; 0 for any.
        quality: the quality of a JPEG that is made, 1 to 100.

    Returns:
        The JPEG, without EXIF if it was made.

    Raises:
        UnknownValuesError: if the values of black and white are not known.
        Exception: any error of Pillow, for a broken image.
    """
    image = open_image(data, pixels)
    is_plain = (
        image.format == "JPEG" and image.mode == "RGB" and orientation(image, pixels) == 1 and not pixels.channels
    )
    with room.for_pixels(image.width * image.height):
        rgb = to_rgb(image, pixels)
        if max_side and max(rgb.size) > max_side:
            rgb.thumbnail((max_side, max_side), Image.Resampling.LANCZOS)
            is_plain = False
        if is_plain and _is_decoded_alike(data, rgb):
            return PlainJpeg(data, *rgb.size)
        content = io.BytesIO()
        rgb.save(content, "JPEG", quality=quality, subsampling=0)
        if not _is_decoded_alike(content.getvalue(), Image.open(content)):
            raise OSError("TensorFlow cannot decode a JPEG of its size (--max_side shrinks it)")
    return PlainJpeg(content.getvalue(), *rgb.size)


def _is_decoded_alike(data: bytes, rgb: Image.Image) -> bool:
    """Returns whether TensorFlow decodes a JPEG, and to the same pixels as Pillow. Training cannot skip one then."""
    try:
        decoded = tf.io.decode_jpeg(data, channels=3, dct_method="INTEGER_ACCURATE").numpy()
    except tf.errors.InvalidArgumentError:
        return False
    return np.array_equal(decoded, np.asarray(rgb))
