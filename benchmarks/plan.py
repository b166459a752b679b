"""Computes the examples and the crops of each training step with NumPy alone, equal to train.py's in every bit.

Machines without TensorFlow draw them from the seed by this module. tests/benchmarks/test_plan.py compares it with
`simsiam_tf.data.order`, `simsiam_tf.augment.threefry` and `simsiam_tf.augment.ops`, which explain the formulas.
"""

import concurrent.futures
import dataclasses
import functools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

# tf.random.experimental.index_shuffle puts this number before a seed of two words, and takes four rounds.
_FIRST_WORD, _ROUNDS = 498247692, 4
# The constant z2 of the block cipher Simon (Beaulieu et al. 2013), its first bit lowest.
_Z2 = 0x7369F885192C0EF5
_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
_CROP_TRIES = 10
_CROP_DRAWS = 2 * _CROP_TRIES + 2
_BITS, _HALF = 24, 12
# The number of steps that are computed before they are needed.
_AHEAD = 32


def index_shuffle(index: np.ndarray, seed: int, epoch: int, max_index: int) -> np.ndarray:
    """Computes the places of positions in a permutation of 0 to `max_index`.

    It is the block cipher Simon with four rounds, applied until the result is in range.

    Args:
        index: the positions, `[n] int64`.
        seed: the seed of the run.
        epoch: the epoch.
        max_index: the greatest position.

    Returns:
        `[n] int64`.
    """
    if max_index == 0:
        return np.zeros_like(index)
    block = max(16, math.ceil(math.log2(max_index)))
    word = (block + block % 2) // 2
    mask = 2**word - 1

    def left(x: Any, by: int) -> Any:
        return (x << by | x >> (word - by)) & mask

    def mixed(x: np.ndarray) -> np.ndarray:
        return (left(x, 1) & left(x, 8)) ^ left(x, 2)

    keys = [number & mask for number in (_FIRST_WORD, seed, epoch)]
    for i in range(3, _ROUNDS):
        bit = (_Z2 & mask) >> (i - 3) & 1
        keys.append((0xFFFFFFFC & mask) ^ bit ^ keys[i - 3] ^ left(keys[i - 1], word - 3) ^ left(keys[i - 1], word - 4))
    shuffled, outside = index.astype(np.int64), np.arange(len(index))
    while len(outside):
        high, low = shuffled[outside] >> word, shuffled[outside] & mask
        for i in range(0, _ROUNDS, 2):
            high = high ^ mixed(low) ^ keys[i]
            low = low ^ mixed(high) ^ keys[i + 1]
        shuffled[outside] = high << word | low
        outside = outside[shuffled[outside] > max_index]
    return shuffled


def threefry(key0: np.ndarray, key1: np.ndarray, x0: np.ndarray, x1: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Encrypts the counter (x0, x1) under the key (key0, key1) by Threefry-2x32; all are uint32 arrays."""
    keys = (key0, key1, key0 ^ key1 ^ np.uint32(0x1BD11BDA))
    x0, x1 = x0 + keys[0], x1 + keys[1]
    for block in range(5):
        for r in _ROTATIONS[block % 2]:
            x0 = x0 + x1
            x1 = (x1 << np.uint32(r) | x1 >> np.uint32(32 - r)) ^ x0
        x0 = x0 + keys[(block + 1) % 3]
        x1 = x1 + keys[(block + 2) % 3] + np.uint32(block + 1)
    return x0, x1


def crop_draws(seed: int, epoch: int, index: np.ndarray, view: int) -> np.ndarray:
    """Draws the uniform numbers that decide the crop of one view of each image.

    Args:
        seed: the seed of the run.
        epoch: the epoch, counted from 0.
        index: the images' positions in the data set, `[B]`.
        view: the number of the view, counted from 0.

    Returns:
        `[B, 22] float32`.
    """
    words = [np.full(1, number & 0xFFFFFFFF, np.uint32) for number in (seed, epoch, view)]
    keys = threefry(words[0], words[1], index.astype(np.uint32), words[2])
    zero, one = np.zeros(1, np.uint32), np.ones(1, np.uint32)
    key0, key1 = (half[:, np.newaxis] for half in threefry(*keys, zero, one))  # the crop is purpose 0
    counters = np.arange(_CROP_DRAWS // 2, dtype=np.uint32)[np.newaxis]
    bits = np.stack(threefry(key0, key1, counters, np.zeros_like(counters)), axis=-1).reshape(len(index), -1)
    return (bits >> np.uint32(8)).astype(np.float32) * np.float32(2.0**-24)


@functools.cache
def _aspects(low: float, high: float) -> tuple[np.ndarray, np.ndarray]:
    """Returns two tables whose products are the aspect of each draw; see `simsiam_tf.augment.ops.geometry`."""
    start, step = math.log(low), (math.log(high) - math.log(low)) / 2**_BITS
    coarse = [math.exp(start + step * (i << _HALF)) for i in range(2 ** (_BITS - _HALF))]
    return np.array(coarse), np.array([math.exp(step * i) for i in range(2**_HALF)])


def crop_boxes(draws: np.ndarray, height: int, width: int, policy: dict[str, Any]) -> np.ndarray:
    """Computes the boxes of random crops, `[B, 4] float32`: top, left, height and width in pixels.

    Args:
        draws: the numbers from `crop_draws`.
        height: the height of all images in pixels.
        width: the width of all images in pixels.
        policy: the fields of the view's `Policy`.
    """
    exact = draws.astype(np.float64)
    least, greatest = policy["crop_min_scale"], policy["crop_max_scale"]
    low, high = policy["crop_min_aspect"], policy["crop_max_aspect"]
    areas = float(height) * float(width) * (exact[:, :_CROP_TRIES] * (greatest - least) + least)
    bits = (exact[:, _CROP_TRIES:-2] * 2.0**_BITS).astype(np.int32)
    coarse, fine = _aspects(low, high)
    ratios = coarse[bits // 2**_HALF] * fine[bits % 2**_HALF]
    w, h = np.round(np.sqrt(areas * ratios)), np.round(np.sqrt(areas / ratios))
    fits = (w > 0) & (w <= width) & (h > 0) & (h <= height)
    rows, first = np.arange(len(draws)), np.argmax(fits, axis=1)
    w, h = w[rows, first], h[rows, first]
    top, left = np.floor(exact[:, -2] * (height - h + 1)), np.floor(exact[:, -1] * (width - w + 1))
    w0, h0 = float(min(width, np.round(height * high))), float(min(height, np.round(width / low)))
    centre = np.array([(height - h0) // 2, (width - w0) // 2, h0, w0])
    found = np.stack([top, left, h, w], axis=1)
    return np.where(fits.any(axis=1, keepdims=True), found, centre).astype(np.float32)


def centre_box(height: int, width: int, image_size: int, policy: dict[str, Any]) -> np.ndarray:
    """Computes the box of a view that shows the centre of each image, `[4] float32`."""
    size = max(1, round(policy["view_size"] * image_size))
    resize_to = size if (height, width) == (size, size) else round(size * policy["centre_resize"])
    starts, lengths = [], []
    for side in (height, width):
        resized = side * resize_to // min(height, width)
        slack = resized - size
        start = slack // 2 + slack % 2 * (slack // 2 % 2)
        starts.append(start * side / resized)
        lengths.append(size * side / resized)
    return np.array([*starts, *lengths], np.float32)


@dataclasses.dataclass(frozen=True)
class Plan:
    """Gives the examples and the crops of each step of a run whose images have one size.

    Attributes:
        num_examples: the number of training images.
        batch_size: the number of images in a step.
        seed: the seed of the run.
        height: the height of all images in pixels.
        width: the width of all images in pixels.
        image_size: the image size of the run in pixels.
        views: the fields of the `Policy` of each view.
    """

    num_examples: int
    batch_size: int
    seed: int
    height: int
    width: int
    image_size: int
    views: list[dict[str, Any]]

    @property
    def steps_per_epoch(self) -> int:
        """Counts the whole batches in an epoch."""
        return self.num_examples // self.batch_size

    def step(self, number: int) -> tuple[int, np.ndarray, np.ndarray]:
        """Computes what one step takes.

        Args:
            number: the number of the step, counted from 0.

        Returns:
            The epoch; the images' positions in the data set, `[B] int64`; and the crops of each view,
            `[B, V, 4] float32`.
        """
        epoch, within = divmod(number, self.steps_per_epoch)
        positions = within * self.batch_size + np.arange(self.batch_size)
        index = index_shuffle(positions, self.seed, epoch, self.num_examples - 1)
        return epoch, index, np.stack([self._boxes(epoch, index, i) for i in range(len(self.views))], axis=1)

    def _boxes(self, epoch: int, index: np.ndarray, view: int) -> np.ndarray:
        policy = self.views[view]
        if policy["crop_min_scale"] > 0:
            return crop_boxes(crop_draws(self.seed, epoch, index, view), self.height, self.width, policy)
        return np.tile(centre_box(self.height, self.width, self.image_size, policy), (len(index), 1))

    def steps(self, start: int, stop: int) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
        """Computes what the steps from `start` to before `stop` take, some of them ahead, in a thread."""
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            coming = [pool.submit(self.step, i) for i in range(start, min(start + _AHEAD, stop))]
            for i in range(start, stop):
                if i + _AHEAD < stop:
                    coming.append(pool.submit(self.step, i + _AHEAD))
                yield coming.pop(0).result()
