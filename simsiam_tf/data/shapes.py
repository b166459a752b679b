"""The built-in data set: ten classes of small shapes that differ in what SimSiam keeps.

Every image shows several copies of one shape. Number, positions, sizes and colours, and the background,
are drawn anew for each image: they are the nuisance that random crops, flips and colour jitter change,
so the shape alone is common to two views. Raw pixels, and so an untrained network, follow the colours.
"""

import numpy as np

CLASS_NAMES = ("disk", "ring", "square", "frame", "triangle", "plus", "cross", "diamond", "bars", "columns")
IMAGE_SIZE = 32
SPLIT_SIZES = {"train": 5000, "test": 1000}
_COPIES = 5
_CHUNK = 500


def _inside(kind: int, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Signed distance to the edge of a shape of half-width 1, positive inside; u to the right, v down."""
    radius, square, diamond = np.hypot(u, v), np.maximum(np.abs(u), np.abs(v)), np.abs(u) + np.abs(v)

    def arms(a, b):
        return np.minimum(0.3 - np.minimum(np.abs(a), np.abs(b)), 1.0 - np.maximum(np.abs(a), np.abs(b)))

    turned = (u + v) / np.sqrt(2), (u - v) / np.sqrt(2)
    stripes = {8: v, 9: u}
    if kind in stripes:
        return np.minimum(0.9 - square, 0.25 - np.abs(np.mod(stripes[kind] + 1.3, 0.9) - 0.45))
    return [
        lambda: 0.9 - radius,
        lambda: 0.25 - np.abs(radius - 0.75),
        lambda: 0.85 - square,
        lambda: 0.22 - np.abs(square - 0.75),
        lambda: np.minimum(0.8 - v, (v + 1.0) / 2 - np.abs(u)),
        lambda: arms(u, v),
        lambda: arms(*turned),
        lambda: (1.0 - diamond) / np.sqrt(2),
    ][kind]()


def _draw(rng: np.random.RandomState, labels: np.ndarray) -> np.ndarray:
    """Images `[N, 32, 32, 3] float` in 0 to 1."""
    n, size = len(labels), IMAGE_SIZE
    y, x = np.mgrid[0:size, 0:size] + 0.5
    tilt = rng.uniform(-0.15, 0.15, (n, 2, 1, 1, 3))
    background = rng.uniform(0.15, 0.85, (n, 1, 1, 3))
    images = background + tilt[:, 0] * (x[..., None] / size - 0.5) + tilt[:, 1] * (y[..., None] / size - 0.5)
    cells = np.argsort(rng.uniform(size=(n, 9)), axis=1)[:, :_COPIES]  # distinct cells of a 3 x 3 grid
    for copy in range(_COPIES):
        row, column = np.divmod(cells[:, copy], 3)
        centre_y, centre_x = ((cell + 0.5) * size / 3 + rng.uniform(-1.5, 1.5, n) for cell in (row, column))
        half = rng.uniform(3.5, 5.5, n)
        colour = rng.uniform(0.0, 1.0, (n, 1, 1, 3))
        # A colour too close to the background would hide the shape.
        close = np.abs(colour - background).mean(axis=-1, keepdims=True) < 0.3
        colour = np.where(close, np.where(background > 0.5, background - 0.5, background + 0.5), colour)
        u = (x[None] - centre_x[:, None, None]) / half[:, None, None]
        v = (y[None] - centre_y[:, None, None]) / half[:, None, None]
        edge = np.empty_like(u)
        for kind in range(len(CLASS_NAMES)):
            edge[labels == kind] = _inside(kind, u[labels == kind], v[labels == kind])
        alpha = np.clip(edge * half[:, None, None] + 0.5, 0.0, 1.0)[..., None]
        images = images * (1 - alpha) + colour * alpha
    return images + rng.normal(0.0, 0.03, images.shape)


def make_shapes(split: str) -> tuple[np.ndarray, np.ndarray]:
    """Generates a split; the same images on every machine and at every call.

    Args:
        split: `train` or `test`.

    Returns:
        Images `[N, 32, 32, 3] uint8` and labels `[N] int64`, classes in turn.
    """
    count = SPLIT_SIZES[split]
    labels = np.arange(count) % len(CLASS_NAMES)
    images = np.empty((count, IMAGE_SIZE, IMAGE_SIZE, 3), np.uint8)
    for start in range(0, count, _CHUNK):
        rng = np.random.RandomState([start, *split.encode()])
        chunk = slice(start, start + _CHUNK)
        images[chunk] = np.clip(np.rint(_draw(rng, labels[chunk]) * 255), 0, 255)
    return images, labels.astype(np.int64)
