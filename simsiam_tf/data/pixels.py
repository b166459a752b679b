"""Converts decoded images of any kind to RGB of 8 bits.

The values of black and white are known from the type of a file, or they are asked for. They are never guessed.
"""

import numpy as np
from PIL import Image

from simsiam_tf.config.pixels import Pixels
from simsiam_tf.data import png
from simsiam_tf.errors import UsageError, check

# The orientation of EXIF, and the transposition that turns the stored image upright.
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_ORIENTATION, _BITS_PER_SAMPLE, _PHOTOMETRIC = 0x0112, 258, 262
_WHITE_IS_ZERO = 0

# Values of 16 bits that are all below this come from 12 bits, or from a very dark image.
TWELVE_BITS = 4096


class UnknownValuesError(UsageError):
    """Says that the range of an image's values is not known. No share of unreadable images excuses it."""


def orientation(image: Image.Image, pixels: Pixels) -> int:
    """Returns how the image is to be turned: the orientation of EXIF, 1 to 8; 1 leaves it as it is."""
    if pixels.exif == "ignore" or image.format == "TIFF":  # Pillow turns TIFF files by itself
        return 1
    try:
        found = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # a broken EXIF block is no reason to leave the picture out
        return 1
    return found if found in _TURNS else 1


def upright_size(image: Image.Image, pixels: Pixels) -> tuple[int, int]:
    """Returns the width and height of an image once it is turned."""
    width, height = image.size
    return (height, width) if orientation(image, pixels) >= 5 else (width, height)


def to_rgb(image: Image.Image, pixels: Pixels) -> Image.Image:
    """Converts an image of any kind to RGB, and turns it upright.

    Args:
        image: an image of Pillow, of any mode.
        pixels: the meaning of the pixels.

    Returns:
        An image of mode RGB.

    Raises:
        UnknownValuesError: if the type of the image does not say which values are black and white, and neither does
            `pixels.value_range`.
        Exception: any error of Pillow, for a truncated or broken image.
    """
    turn = _TURNS.get(orientation(image, pixels))
    png.load(image)
    if image.mode.startswith(("I", "F")):
        levels = to_levels(np.asarray(image), pixels, known_range(image))
        image = Image.fromarray(255 - levels if _is_negative(image, pixels) else levels)
    if pixels.channels:
        image = _chosen_channels(image, pixels.channels)
    elif pixels.background is not None and has_alpha(image):
        image = _on_colour(image, pixels.background)
    if image.mode != "RGB":
        image = image.convert("RGB")
    return image if turn is None else image.transpose(turn)


def known_range(image: Image.Image) -> tuple[float, float] | None:
    """Returns the values of black and white that the type of a file implies, for modes of more than 8 bits."""
    if image.format == "TIFF" and getattr(image, "tag_v2", {}).get(_BITS_PER_SAMPLE) == (12,):
        return 0, 4095
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format in ("PNG", "PPM", "JPEG2000")):
        return 0, 65535
    return None


def _is_negative(image: Image.Image, pixels: Pixels) -> bool:
    """Returns whether 0 is white in a TIFF of 16 bits. Pillow does not look at it; `value_range` comes first."""
    is_deep = image.format == "TIFF" and image.mode.startswith("I;16") and not pixels.value_range
    return is_deep and getattr(image, "tag_v2", {}).get(_PHOTOMETRIC) == _WHITE_IS_ZERO


def to_levels(values: np.ndarray, pixels: Pixels, known: tuple[float, float] | None = None) -> np.ndarray:
    """Converts an array of any type to levels of 0 to 255.

    Args:
        values: an array of numbers or truth values, of any shape.
        pixels: the meaning of the pixels; its `value_range` comes first.
        known: the values of black and white that the type of the file implies, or `None`.

    Returns:
        An array of the same shape, uint8.

    Raises:
        UnknownValuesError: if the range is not known.
        ValueError: if a value is not a number.

    Example:
        >>> import numpy as np
        >>> from simsiam_tf.config.pixels import Pixels
        >>> to_levels(np.array([0.0, 0.5, 1.0]), Pixels(value_range=(0, 1)))
        array([  0, 128, 255], dtype=uint8)
    """
    if values.dtype == np.uint8:
        return values
    if values.dtype == bool:
        return np.where(values, 255, 0).astype(np.uint8)
    if not np.isfinite(values).all():
        if not pixels.value_range:
            raise UnknownValuesError(_question(values))
        raise ValueError("a pixel is not a finite number")
    if pixels.value_range:
        low, high = pixels.value_range
    elif known is not None:
        low, high = known
    elif values.dtype == np.uint16:
        low, high = 0, 65535
    else:
        raise UnknownValuesError(_question(values))
    return np.rint(np.clip((values.astype(np.float64) - low) * (255 / (high - low)), 0, 255)).astype(np.uint8)


def choose_channels(image: np.ndarray, channels: tuple[int, ...]) -> np.ndarray:
    """Makes three channels of an image `[..., C]`: the chosen ones, or a grey one three times, or the first three."""
    if not channels:
        channels = (0, 1, 2) if image.shape[-1] >= 3 else (0,)
    _check_channels(channels, image.shape[-1])
    return np.repeat(image[..., channels], 3, axis=-1) if len(channels) == 1 else image[..., channels]


def has_alpha(image: Image.Image) -> bool:
    """Returns whether an image has transparent pixels, or could have them."""
    return image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info


def _chosen_channels(image: Image.Image, channels: tuple[int, ...]) -> Image.Image:
    if image.mode == "P":  # a palette's numbers are no channels
        image = image.convert("RGB")
    if image.mode == "1":
        image = image.convert("L")
    count = len(image.getbands())
    if count == 1:  # grey images may lie among those of several channels
        return image
    _check_channels(channels, count)
    bands = [image.getchannel(i) for i in channels]
    return Image.merge("RGB", bands * (3 if len(bands) == 1 else 1))


def _check_channels(channels: tuple[int, ...], count: int) -> None:
    check(max(channels) < count, f"--channels must name channels of 0 to {count - 1}.", ",".join(map(str, channels)))


def _on_colour(image: Image.Image, colour: tuple[int, int, int]) -> Image.Image:
    """Puts a colour behind an image."""
    image = image.convert("RGBA")
    behind = Image.new("RGB", image.size, colour)
    behind.paste(image, mask=image.getchannel("A"))
    return behind


def check_sixteen_bits(low: float, high: float, pixels: Pixels, name: str) -> None:
    """Checks that images of 16 bits do not all use only 12 of them.

    Args:
        low: the least value in them.
        high: the greatest value in them.
        pixels: the meaning of the pixels.
        name: the name of the data set and split.

    Raises:
        UnknownValuesError: if they do, and the range of values is not given.
    """
    if 1 < high < TWELVE_BITS and not pixels.value_range:
        raise UnknownValuesError(
            f"The images of 16 bits would be almost black, for their greatest value is {high:g}; give the values of "
            "black and white, as in --value_range=0,4095, or --value_range=0,65535 if they are meant to be as dark. "
            f"Received: values of {low:g} to {high:g}, in {name}."
        )


def _question(values: np.ndarray) -> str:
    """Returns the sentence that asks for the range of values."""
    finite = values[np.isfinite(values)]
    seen = f"{finite.min():g} to {finite.max():g}" if finite.size else "no finite number"
    seen += "" if finite.size == values.size else f", and {values.size - finite.size} that are not finite"
    return (
        "The image's type does not say which of its values are black and white; give both, as in --value_range=0,1. "
        f"Received: {values.dtype} values of {seen}."
    )
