"""Generates the built-in data set: small images of ten classes of shapes.

Every image is covered by copies of one shape. Their size, place, tilt and colours are drawn anew for each image, and
so are the clouds and the noise on top. Random crops, flips and colour jitter change all of these, so the shape is the
only thing that two views have in common. Raw pixels, and therefore an untrained network, show the colours instead.
"""

import functools

import numpy as np

CLASS_NAMES = ("bars", "columns", "slashes", "checker", "disks", "rings", "grid", "lattice", "triangles", "zigzag")
IMAGE_SIZE = 32
SPLIT_SIZES = {"train": 5000, "test": 1000}
_CHUNK = 500
_CLOUDS = 0.1
_NOISE = 0.06


def _pattern(kind: int, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Computes the distance to the edge of the shapes, positive inside.

    u grows to the right and v downwards; there is one shape in each unit of both.
    """

    def cell(a: np.ndarray) -> np.ndarray:
        return np.mod(a, 1.0) - 0.5

    def stripes(a: np.ndarray, width: float = 0.25) -> np.ndarray:
        return width - np.abs(cell(a))

    x, y = cell(u), cell(v)
    radius = np.hypot(x, y)
    right, left = (u + v) / np.sqrt(2), (u - v) / np.sqrt(2)
    return [
        lambda: stripes(v),
        lambda: stripes(u),
        lambda: stripes(right),
        lambda: np.where(x * y > 0, 1, -1) * np.minimum(np.abs(x), np.abs(y)),
        lambda: 0.36 - radius,
        lambda: 0.1 - np.abs(radius - 0.34),
        lambda: np.maximum(stripes(u, 0.14), stripes(v, 0.14)),
        lambda: np.maximum(stripes(right, 0.14), stripes(left, 0.14)),
        lambda: np.minimum(0.35 - y, (y + 0.4) / 2 - np.abs(x)),
        lambda: stripes(v + np.abs(cell(u))),
    ][kind]()


def _colour(hue: np.ndarray, value: float = 0.75, saturation: float = 0.6) -> np.ndarray:
    """Converts hues `[...]`, in turns of the colour circle, to RGB `[..., 3]`."""
    k = np.mod(np.array([5.0, 3.0, 1.0]) + 6.0 * hue[..., None], 6.0)
    return value * (1 - saturation * np.clip(np.minimum(k, 4 - k), 0, 1))


def smooth(values: np.ndarray, size: int) -> np.ndarray:
    """Interpolates a grid of colours `[N, G, G, 3]` bilinearly to `[N, size, size, 3]`."""
    grid = values.shape[1]
    where = np.linspace(0, grid - 1, size)
    before = np.minimum(where.astype(int), grid - 2)  # each place lies between two points of the grid
    low, high = (np.maximum(0.0, 1.0 - np.abs(where - point))[:, None] for point in (before, before + 1))  # weights
    rows = values[:, before] * low[:, None] + values[:, before + 1] * high[:, None]
    return rows[:, :, before] * low + rows[:, :, before + 1] * high


def _draw(rng: np.random.RandomState, labels: np.ndarray) -> np.ndarray:
    """Draws an image for each label: `[N, 32, 32, 3] float`; levels are 0 to 1, and noise may exceed them."""
    n, size = len(labels), IMAGE_SIZE

    def draw(low: float, high: float, *shape: int) -> np.ndarray:
        return rng.uniform(low, high, (n, *shape))

    y, x = np.mgrid[0:size, 0:size][:, None] + 0.5  # [1, size, size] each
    period, tilt = draw(6.0, 11.0, 1, 1), np.radians(draw(-10, 10, 1, 1))
    u = (np.cos(tilt) * x - np.sin(tilt) * y) / period + draw(0, 1, 1, 1)
    v = (np.sin(tilt) * x + np.cos(tilt) * y) / period + draw(0, 1, 1, 1)
    edge = np.empty_like(u)
    for kind in range(len(CLASS_NAMES)):
        edge[labels == kind] = _pattern(kind, u[labels == kind], v[labels == kind])
    alpha = np.clip(edge * period + 0.5, 0.0, 1.0)[..., None]
    hue = draw(0, 1, 1, 1)
    # Shape and background have opposite hues of the same brightness, so a random shift of the hue hides both colours,
    # and which of them is the shape's. With brighter and darker colours SimSiam learned those instead (kNN 27 %).
    front, back = _colour(hue), _colour(hue + 0.5)
    images = back + (front - back) * alpha + smooth(draw(-_CLOUDS, _CLOUDS, 5, 5, 3), size)
    return images + rng.normal(0.0, _NOISE, images.shape)


@functools.cache
def make_shapes(split: str) -> tuple[np.ndarray, np.ndarray]:
    """Generates a split. Its images are the same on every machine and in every call.

    Args:
        split: the name of the split, `train` or `test`.

    Returns:
        Images `[N, 32, 32, 3] uint8` and labels `[N] int64`, which are 0 to 9 in turn. Both are read-only, because all
        callers share them.
    """
    count = SPLIT_SIZES[split]
    labels = np.arange(count, dtype=np.int64) % len(CLASS_NAMES)
    images = np.empty((count, IMAGE_SIZE, IMAGE_SIZE, 3), np.uint8)
    for start in range(0, count, _CHUNK):
        rng = np.random.RandomState([start, *split.encode()])
        chunk = slice(start, start + _CHUNK)
        images[chunk] = np.clip(np.rint(_draw(rng, labels[chunk]) * 255), 0, 255)
    images.flags.writeable = labels.flags.writeable = False  # all callers share them
    return images, labels
