"""Declares what the pixels of image files mean."""

import dataclasses
import re
from typing import Literal

from simsiam_tf.errors import check

# Names of the colours that --alpha knows, beside #rrggbb.
_COLOURS = {"black": (0, 0, 0), "white": (255, 255, 255), "grey": (128, 128, 128), "gray": (128, 128, 128)}


@dataclasses.dataclass(frozen=True)
class Pixels:
    """Says how any decoded image becomes RGB of 8 bits.

    Attributes:
        exif: whether photographs are turned as their camera noted (`upright`), or stay as they are stored (`ignore`).
        alpha: `drop` leaves transparency out; the name of a colour, or #rrggbb, puts that colour behind the image.
        value_range: the values that become black and white, in images whose type does not say; empty if unknown.
        channels: the channels that become red, green and blue, counted from 0; empty for the usual ones.
        max_pixels: the number of pixels above which an image is not decoded.
    """

    exif: Literal["upright", "ignore"] = "upright"
    alpha: str = "drop"
    value_range: tuple[float, ...] = ()
    channels: tuple[int, ...] = ()
    max_pixels: int = 200_000_000

    def __post_init__(self) -> None:
        check(
            not self.value_range or (len(self.value_range) == 2 and self.value_range[0] < self.value_range[1]),
            "--value_range must be two numbers, the value of black and the greater value of white.",
            ",".join(map(str, self.value_range)),
        )
        check(
            len(self.channels) in (0, 1, 3),
            "--channels must be one number or three, such as 0,1,2.",
            ",".join(map(str, self.channels)),
        )
        check(
            self.alpha == "drop" or self.alpha in _COLOURS or bool(re.fullmatch("#[0-9a-fA-F]{6}", self.alpha)),
            f"--alpha must be drop, {', '.join(_COLOURS)} or a colour as #rrggbb.",
            repr(self.alpha),
        )

    @property
    def fingerprint(self) -> str:
        """Returns a text that tells these meanings from others; empty for those of runs before there were any."""
        plain = Pixels(exif="ignore", max_pixels=self.max_pixels)
        return "" if self == plain else f"{self.exif},{self.alpha},{self.value_range},{self.channels}"

    @property
    def background(self) -> tuple[int, int, int] | None:
        """Returns the colour behind transparent pixels, RGB; `None` if transparency is left out."""
        if self.alpha == "drop":
            return None
        if self.alpha in _COLOURS:
            return _COLOURS[self.alpha]
        red, green, blue = bytes.fromhex(self.alpha[1:])
        return red, green, blue
