"""Draws the built-in images with objects: squares, disks and triangles of any colour before clouds and noise.

Colour, size and tilt are drawn for each object alone, so that only its shape tells its class. Objects may cover each
other in part.
"""

import dataclasses
import functools

import numpy as np

from simsiam_tf.data.shapes import smooth

CLASS_NAMES = ("disk", "square", "triangle")
IMAGE_SIZE = 128
SPLIT_SIZES = {"train": 2000, "test": 500}
MOST_OBJECTS = 4
# Of each object at least this part is seen.
LEAST_SEEN = 0.4
_LEAST, _GREATEST = 24.0, 64.0
_CLOUDS = 0.25
_NOISE = 0.05
# Colours that are nearer to each other, in RGB of 0 to 1, can hardly be told apart under the clouds.
_APART = 0.45
_TRIES = 20
# Where the centres of the pixels lie, along either side.
_CENTRES = np.arange(IMAGE_SIZE, dtype=np.float32) + 0.5


@dataclasses.dataclass(frozen=True, eq=False)
class Scenes:
    """Holds the N images of a split. Its arrays are read-only, because all callers share them.

    Attributes:
        images: the images, `[N, 128, 128, 3] uint8`.
        owners: the object that is seen at each pixel, counted from 1, or 0, `[N, 128, 128] uint8`.
        classes: the class of each object, `[N, 4] int64`; -1 for objects that an image does not have.
    """

    images: np.ndarray
    owners: np.ndarray
    classes: np.ndarray


def _inside(kind: int, x: np.ndarray, y: np.ndarray, radius: float, tilt: float) -> np.ndarray:
    """Computes the distance to the edge of a shape in pixels, positive inside. x and y count from its centre."""
    if kind == 0:
        return radius - np.hypot(x, y)
    u, v = np.cos(tilt) * x + np.sin(tilt) * y, np.cos(tilt) * y - np.sin(tilt) * x
    if kind == 1:
        return 0.8 * radius - np.maximum(np.abs(u), np.abs(v))
    return 0.6 * radius - np.maximum(v, np.abs(u) * np.sqrt(3) / 2 - v / 2)


def _colour(rng: np.random.RandomState, others: list[np.ndarray]) -> np.ndarray:
    """Draws a colour that differs from others."""
    candidates = rng.uniform(0.0, 1.0, (_TRIES, 3))
    distances = np.linalg.norm(candidates[:, np.newaxis] - np.array(others), axis=-1).min(axis=1)
    return candidates[np.argmax(np.minimum(distances, _APART))]  # the first that is far enough, else the farthest


def _place(rng: np.random.RandomState, kind: int, owners: np.ndarray, areas: list[int]) -> np.ndarray | None:
    """Finds a place for an object in front of those that there are; the distance to its edge, or `None`."""
    radius, tilt = rng.uniform(_LEAST, _GREATEST) / 2, rng.uniform(0, 2 * np.pi)
    margin = 1.2 * radius  # the corners of a triangle lie so far from its centre
    for _ in range(_TRIES):
        x, y = rng.uniform(margin, IMAGE_SIZE - margin, 2)
        edge = _inside(kind, _CENTRES - x, _CENTRES[:, np.newaxis] - y, radius, tilt)
        seen = np.bincount(owners[edge <= 0], minlength=len(areas) + 1)[1:]
        if np.all(seen >= LEAST_SEEN * np.array(areas)):
            return edge
    return None


def _draw(index: int, split: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draws an image; returns it with its owners and classes, as `Scenes` has them."""
    rng = np.random.RandomState([index, *split.encode()])
    base = rng.uniform(0.2, 0.8, 3)
    clouds = smooth(rng.uniform(-_CLOUDS, _CLOUDS, (1, 5, 5, 6)), IMAGE_SIZE)[0].astype(np.float32)
    image, shade = base.astype(np.float32) + clouds[..., :3], clouds[..., 3:] / 2
    owners = np.zeros((IMAGE_SIZE, IMAGE_SIZE), np.uint8)
    classes = np.full(MOST_OBJECTS, -1, np.int64)
    colours: list[np.ndarray] = [base]
    areas: list[int] = []
    for number in range(rng.randint(1, MOST_OBJECTS + 1)):
        kind = rng.randint(len(CLASS_NAMES))
        edge = _place(rng, kind, owners, areas)
        if edge is None:
            break
        colours.append(_colour(rng, colours))
        alpha = np.clip(edge + 0.5, 0.0, 1.0)[..., np.newaxis].astype(np.float32)
        image += (colours[-1].astype(np.float32) + shade - image) * alpha
        owners[edge > 0], classes[number] = number + 1, kind
        areas.append(int(np.count_nonzero(edge > 0)))
    levels = image * 255 + rng.normal(0.0, _NOISE * 255, image.shape)
    return np.clip(np.rint(levels), 0, 255).astype(np.uint8), owners, classes


@functools.cache
def make_scenes(split: str, count: int = 0) -> Scenes:
    """Draws a split. Its images are the same on every machine and in every call.

    Args:
        split: the name of the split, `train` or `test`.
        count: the number of images to draw, the first ones; 0: all.
    """
    number = SPLIT_SIZES[split]
    drawn = [_draw(index, split) for index in range(min(count or number, number))]
    arrays = [np.stack(part) for part in zip(*drawn, strict=True)]
    for array in arrays:
        array.flags.writeable = False
    return Scenes(*arrays)
