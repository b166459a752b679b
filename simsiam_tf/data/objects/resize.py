"""Computes how images are resized and flipped, and does the same to their objects."""

import dataclasses
from typing import Literal

import numpy as np
import tensorflow as tf

from simsiam_tf.augment.threefry import fold_in, uniform, view_keys
from simsiam_tf.config.detection_data import DetectionDataConfig
from simsiam_tf.data.objects.annotations import Objects
from simsiam_tf.data.objects.masks import draw_masks

# The number of the purpose for which `fold_in` derives the keys of the size and the flip from those of the images.
AUGMENTATION = 1000


@dataclasses.dataclass(frozen=True)
class Recipe:
    """Says how images are resized and flipped.

    Attributes:
        short_sides: the lengths in pixels of the shorter side in training, of which one is drawn for each image.
        long_side: the length that the longer side has at most.
        eval_short_side: the length of the shorter side in evaluations.
        canvases: whether the batches have a few sizes (`auto`), or all the same (`one`).
        flip: the probability of a flip in training.
    """

    short_sides: tuple[int, ...]
    long_side: int = 1333
    eval_short_side: int = 800
    canvases: Literal["auto", "one"] = "auto"
    flip: float = 0.5

    @classmethod
    def of(cls, config: DetectionDataConfig) -> "Recipe":
        """Returns the recipe that the settings describe."""
        return cls(config.sides, config.long_side, config.evaluation_side, config.canvases)


@dataclasses.dataclass(frozen=True)
class Change:
    """Says what becomes of one image.

    Attributes:
        size: its height and width before.
        new_size: its height and width after it is resized.
        flipped: whether its left and its right side are exchanged then.
    """

    size: tuple[int, int]
    new_size: tuple[int, int]
    flipped: bool


def resized(sizes: np.ndarray, short: np.ndarray, long_side: int) -> np.ndarray:
    """Computes the sizes of resized images: the shorter side gets a length, unless the longer one would be too long.

    Args:
        sizes: heights and widths, `[n, 2] int64`.
        short: the lengths of the shorter sides, `[n]`.
        long_side: the length that the longer side has at most.

    Returns:
        Heights and widths, `[n, 2] int64`, at least 1.

    Example:
        >>> import numpy as np
        >>> resized(np.array([[480, 640], [100, 1000]]), np.array([800, 800]), 1333).tolist()
        [[800, 1067], [133, 1333]]
    """
    lengths = sizes.astype(np.float64)
    scales = np.minimum(short / lengths.min(axis=1), long_side / lengths.max(axis=1))
    return np.maximum((lengths * scales[:, np.newaxis] + 0.5).astype(np.int64), 1)


def fitted(new_size: tuple[int, int], canvas: tuple[int, int]) -> tuple[int, int]:
    """Shrinks the size of an image until a canvas holds it, for one that stands in for an unreadable one."""
    scale = min(1.0, canvas[0] / new_size[0], canvas[1] / new_size[1])
    height, width = (max(1, int(side * scale)) for side in new_size)
    return height, width


def keys_and_draws(seed: int, epoch: tf.Tensor, index: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Computes the keys of images in an epoch, and draws the numbers that decide on their sizes and flips.

    Args:
        seed: the seed of the run.
        epoch: the epoch, a scalar.
        index: the positions of the images, `[B]`.

    Returns:
        The keys, `[B, 2] uint32`, of which `fold_in` with any number but `AUGMENTATION` derives others; and numbers
        from 0 to below 1, `[B, 2] float32`.
    """
    keys = view_keys(seed, epoch, index, 0)
    return keys, uniform(fold_in(keys, AUGMENTATION), 2)


def drawn_short_sides(recipe: Recipe, draws: np.ndarray) -> np.ndarray:
    """Returns the length of each image's shorter side, `[n] int64`, by the draws `[n, 2]`."""
    sides = np.array(recipe.short_sides, np.int64)
    return sides[(draws[:, 0].astype(np.float64) * len(sides)).astype(np.int64)]


def drawn_flips(recipe: Recipe, draws: np.ndarray) -> np.ndarray:
    """Returns whether each image is flipped, `[n] bool`, by the draws `[n, 2]`."""
    return draws[:, 1] < recipe.flip


def change_boxes(boxes: np.ndarray, change: Change) -> np.ndarray:
    """Returns the boxes of a changed image, `[n, 4] float64`, in its pixels.

    Example:
        >>> import numpy as np
        >>> change_boxes(np.array([[1.0, 2.0, 3.0, 4.0]]), Change((10, 10), (20, 20), True)).tolist()
        [[14.0, 4.0, 18.0, 8.0]]
    """
    (height, width), (new_height, new_width) = change.size, change.new_size
    changed = boxes * np.array([new_width / width, new_height / height] * 2)
    if change.flipped:
        changed = np.stack([new_width - changed[:, 2], changed[:, 1], new_width - changed[:, 0], changed[:, 3]], axis=1)
    return changed


def change_masks(objects: Objects, change: Change) -> np.ndarray:
    """Draws the masks of a changed image: whether a pixel is inside each object, `[n, H, W] uint8`, 0 or 1."""
    if objects.masks is None:
        raise ValueError("Only objects with masks can be drawn.")
    return draw_masks(objects.masks, change.size, change.new_size, change.flipped)


def full_masks(objects: Objects) -> np.ndarray:
    """Draws the masks of an image at its own size: whether a pixel is inside each object, `[n, H, W] bool`.

    Raises:
        ValueError: if the set has no masks, or the size of the image is unknown.
    """
    if objects.size is None:
        raise ValueError("The size of an image must be known to draw its masks.")
    return change_masks(objects, Change(objects.size, objects.size, False)).astype(bool)
