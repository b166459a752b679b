"""Random numbers as a pure function of (run seed, epoch, example index, view).

Threefry-2x32 with 20 rounds (Salmon et al. 2011), in 32-bit additions, rotations and exclusive ors alone:
the same bits in eager mode, inside tf.data, under XLA, and on every device. TensorFlow's stateless ops
take one seed for a whole tensor; here every image of a batch has its own.
"""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))


def threefry(key0: tf.Tensor, key1: tf.Tensor, x0: tf.Tensor, x1: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Encrypts the counter (x0, x1) under the key; all uint32, broadcast against each other."""
    keys = (key0, key1, key0 ^ key1 ^ tf.constant(0x1BD11BDA, tf.uint32))
    x0, x1 = x0 + keys[0], x1 + keys[1]
    for block in range(5):
        for r in _ROTATIONS[block % 2]:
            x0 = x0 + x1
            left = tf.bitwise.left_shift(x1, tf.constant(r, tf.uint32))
            right = tf.bitwise.right_shift(x1, tf.constant(32 - r, tf.uint32))
            x1 = (left | right) ^ x0
        x0 = x0 + keys[(block + 1) % 3]
        x1 = x1 + keys[(block + 2) % 3] + tf.constant(block + 1, tf.uint32)
    return x0, x1


def view_keys(seed: int, epoch: tf.Tensor, index: tf.Tensor, view: int) -> tf.Tensor:
    """The key of each image's view.

    Args:
        seed: the run's seed.
        epoch: scalar, counted from 0.
        index: `[B]` positions in the data set.
        view: 0 or 1.

    Returns:
        `[B, 2] uint32`.
    """
    index = tf.cast(index, tf.uint32)
    halves = threefry(
        tf.constant(seed, tf.uint32),
        tf.cast(epoch, tf.uint32),
        index,
        tf.fill(tf.shape(index), tf.constant(view, tf.uint32)),
    )
    return tf.stack(halves, axis=-1)


def fold_in(keys: tf.Tensor, data: int) -> tf.Tensor:
    """New keys `[B, 2]` for a purpose named by a number."""
    number = tf.constant(data, tf.uint32)
    # The second counter word sets these apart from the draws of `uniform`.
    return tf.stack(threefry(keys[:, 0], keys[:, 1], number, tf.constant(1, tf.uint32)), axis=-1)


def between(low: float | Sequence[float], high: float | Sequence[float], draws: tf.Tensor) -> tf.Tensor:
    """Maps uniform numbers `[..., n]` to `[low, high)`, to the same bits whatever compiles it.

    Of float32 bounds the product is exact in float64, so that it does not matter whether a compiler fuses the
    multiplication with the addition.
    """
    low64, high64 = (tf.constant(np.asarray(bound, np.float32).astype(np.float64)) for bound in (low, high))
    return tf.cast(low64 + (high64 - low64) * tf.cast(draws, tf.float64), tf.float32)


def uniform(keys: tf.Tensor, count: int) -> tf.Tensor:
    """Uniform numbers in [0, 1), exact multiples of 2**-24.

    Args:
        keys: `[B, 2] uint32`.
        count: how many for each key.

    Returns:
        `[B, count] float32`.
    """
    counters = tf.range((count + 1) // 2)[tf.newaxis]  # [1, ceil(count / 2)]
    counters = tf.cast(counters, tf.uint32)
    halves = threefry(keys[:, :1], keys[:, 1:], counters, tf.zeros_like(counters))
    bits = tf.reshape(tf.stack(halves, axis=-1), [-1, (count + 1) // 2 * 2])[:, :count]
    top = tf.bitwise.right_shift(bits, tf.constant(8, tf.uint32))
    return tf.cast(tf.cast(top, tf.int32), tf.float32) * 2.0**-24
