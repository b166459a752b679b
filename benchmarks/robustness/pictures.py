"""Makes pictures, and image files of them."""

import dataclasses
import io
import warnings
from typing import Any

import numpy as np
from PIL import Image

SIZES = [(1, 1), (1, 37), (37, 1), (3, 5), (64, 48), (257, 3), (2, 1200), (40, 40)]


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
