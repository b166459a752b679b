"""Looks at images: what kind of values they have, and what is unusual about them."""

import dataclasses
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from simsiam_tf.config.pixels import Pixels
from simsiam_tf.data.decoding import open_image
from simsiam_tf.data.encoded import EncodedImages
from simsiam_tf.data.pixels import TWELVE_BITS, UnknownValuesError, check_sixteen_bits, has_alpha, orientation, to_rgb
from simsiam_tf.data.sources import Source

# The first images are looked at, as many as the time allows.
_LOOKED_AT, _SECONDS = 256, 2.0
# The tag of a TIFF file that counts its channels.
_SAMPLES_PER_PIXEL = 277


@dataclasses.dataclass(frozen=True)
class Seen:
    """Holds what was seen of one image.

    Attributes:
        kind: the kind of its values, such as `8 bits`.
        low: its least value.
        high: its greatest value.
        side: its shorter side in pixels.
        constant: whether it is of a single colour.
        transparent: whether it has transparent pixels.
        turned: whether it was taken with a turned camera, as EXIF says.
        pages: whether it has several pages or frames.
        channels: whether it has channels that are not used.
    """

    kind: str
    low: float
    high: float
    side: int
    constant: bool
    transparent: bool = False
    turned: bool = False
    pages: bool = False
    channels: bool = False


@dataclasses.dataclass
class Sight:
    """Holds what was seen of several images of a source.

    Attributes:
        looked_at: the number of images that were read.
        constant: how many of them are of a single colour.
        transparent: how many of the constant ones have transparent pixels.
        turned: how many were taken with a turned camera, as EXIF says.
        pages: how many have several pages or frames.
        channels: how many have channels that are not used.
        unreadable: how many could not be read.
        ranges: the least and greatest value seen, by the kind of the values.
        sides: the shorter side of each image that could be read, in pixels.
    """

    looked_at: int = 0
    constant: int = 0
    transparent: int = 0
    turned: int = 0
    pages: int = 0
    channels: int = 0
    unreadable: int = 0
    ranges: dict[str, tuple[float, float]] = dataclasses.field(default_factory=dict)
    sides: list[int] = dataclasses.field(default_factory=list)

    def add(self, seen: Seen | None) -> None:
        """Counts an image; `None` is one that could not be read."""
        self.looked_at += 1
        if seen is None:
            self.unreadable += 1
            return
        self.constant += seen.constant
        self.transparent += seen.constant and seen.transparent
        self.turned += seen.turned
        self.pages += seen.pages
        self.channels += seen.channels
        self.sides.append(seen.side)
        low, high = self.ranges.get(seen.kind, (seen.low, seen.high))
        self.ranges[seen.kind] = min(low, seen.low), max(high, seen.high)


def look_at(source: Source) -> Sight:
    """Looks at the first images of a source, for two seconds at most.

    Raises:
        UnknownValuesError: if the images' type does not say which of their values are black and white.
    """
    sight, end = Sight(), time.monotonic() + _SECONDS
    for position in range(min(_LOOKED_AT, source.num_examples)):
        if source.files is None:
            sight.add(seen_in_array(array_of(source, position)))
        else:
            sight.add(_look_at_file(source.files, position))
        if time.monotonic() > end:
            break
    if source.files is not None:
        check_bits(sight, source.files.pixels, source.name)
    return sight


def array_of(source: Source, position: int) -> np.ndarray:
    """Returns an image `[H, W, 3] uint8` of a source that is held in memory."""
    images: Any = source.images
    return np.asarray(images[position])


def seen_in_array(image: np.ndarray) -> Seen:
    """Looks at an image `[H, W, 3] uint8`."""
    constant = bool((image == image[:1, :1]).all())
    return Seen("8 bits", int(image.min()), int(image.max()), min(image.shape[:2]), constant)


def _look_at_file(files: EncodedImages, position: int) -> Seen | None:
    try:
        return see(open_image(files.load(position), files.pixels), files.pixels)[0]
    except UnknownValuesError as error:
        files.skip(position, error)
    except Exception:  # Pillow raises errors of many types; the run will count and list the image
        pass
    return None


def see(image: Image.Image, pixels: Pixels) -> tuple[Seen, Image.Image]:
    """Decodes an image, and looks at it.

    Args:
        image: an image from `open_image`.
        pixels: the meaning of the pixels.

    Returns:
        What was seen, and the image in RGB.

    Raises:
        UnknownValuesError: if the range of the image's values is not known.
        Exception: any error of Pillow, for a truncated or broken image.
    """
    is_wide = any(";16" in str(tile[3]) for tile in vars(image).get("tile", ()))
    rgb = to_rgb(image, pixels)
    kind = {"I": "whole numbers", "F": "fractions"}.get(image.mode, "16 bits" if ";16" in image.mode else "8 bits")
    kind = "16 bits, in colour" if is_wide and kind == "8 bits" else kind
    extrema = _extrema(image)
    seen = Seen(
        kind,
        low=min(low for low, _ in extrema),
        high=max(high for _, high in extrema),
        side=min(rgb.size),
        constant=all(low == high for low, high in _extrema(rgb)),
        transparent=has_alpha(image),
        turned=orientation(image, pixels) > 1,
        pages=has_pages(image),
        channels=has_unused_channels(image),
    )
    return seen, rgb


def has_pages(image: Image.Image) -> bool:
    """Returns whether an image has several pages or frames."""
    try:
        return bool(getattr(image, "is_animated", False))
    except Exception:  # Pillow looks at the second frame, which may be broken; only the first is used
        return True


def has_unused_channels(image: Image.Image) -> bool:
    """Returns whether an image has more channels than its colours and its transparency need.

    A TIFF file may have more than Pillow gives: of red, green, blue and another, it gives three.
    """
    given = len(image.getbands())
    in_file = vars(image).get("tag_v2", {}).get(_SAMPLES_PER_PIXEL, 0)
    return in_file > given or (given > 3 and not has_alpha(image) and image.mode != "CMYK")


def _extrema(image: Image.Image) -> Sequence[tuple[float, float]]:
    if image.mode.startswith(("I", "F")):
        values = np.asarray(image)
        return [(float(values.min()), float(values.max()))]
    found: Any = image.convert("RGB").getextrema() if image.mode in ("P", "PA") else image.getextrema()
    return found if isinstance(found[0], tuple) else [found]


def check_bits(sight: Sight, pixels: Pixels, name: str) -> None:
    """Checks that images of 16 bits do not all use only 12 of them.

    Args:
        sight: what was seen of the images.
        pixels: the meaning of the pixels.
        name: the name of the data set and split.

    Raises:
        UnknownValuesError: if they do, and the range of values is not given.
    """
    if pixels.value_range:
        return
    check_sixteen_bits(*sight.ranges.get("16 bits", (0, 0)), pixels, name)
    if "16 bits, in colour" in sight.ranges and sight.ranges["16 bits, in colour"][1] < TWELVE_BITS >> 8:
        raise UnknownValuesError(
            "The colour images of 16 bits use less than 12 bits, and would be almost black; convert them to 8 bits a "
            f"channel first. Received: {name}."
        )
