"""Draws random numbers as a pure function of (run seed, epoch, example index, view).

The generator is Threefry-2x32 with 20 rounds (Salmon et al. 2011). It uses only additions, rotations and exclusive ors
of 32-bit words, so it gives the same bits in eager mode, inside tf.data, under XLA, and on every device.

TensorFlow's stateless ops take one seed for a whole tensor. Here every image of a batch has its own key.
"""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))


def threefry(key0: tf.Tensor, key1: tf.Tensor, x0: tf.Tensor, x1: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Encrypts the counter (x0, x1) under the key (key0, key1).

    Args:
        key0: the first word of the key, uint32. All four tensors are broadcast against each other.
        key1: the second word of the key, uint32.
        x0: the first word of the counter, uint32.
        x1: the second word of the counter, uint32.

    Returns:
        Two random words, uint32, of the broadcast shape.
    """
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
    """Computes the key of one view of each image.

    Args:
        seed: the seed of the run.
        epoch: the epoch, a scalar, counted from 0.
        index: the positions of the images in the data set, `[B]`.
        view: the number of the view, counted from 0.

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
    """Derives new keys from keys, so that each purpose has random numbers of its own.

    Args:
        keys: `[B, 2] uint32`, as from `view_keys`.
        data: the number of the purpose.

    Returns:
        `[B, 2] uint32`.
    """
    number = tf.constant(data, tf.uint32)
    # The second word of the counter is 1 here and 0 in `uniform`, so keys and draws never share a counter.
    return tf.stack(threefry(keys[:, 0], keys[:, 1], number, tf.constant(1, tf.uint32)), axis=-1)


def between(low: float | Sequence[float], high: float | Sequence[float], draws: tf.Tensor) -> tf.Tensor:
    """Maps uniform numbers from [0, 1) to [low, high), with the same bits under every compiler.

    The bounds are rounded to float32 first. The product is then exact in float64, so it does not matter whether a
    compiler fuses the multiplication with the addition.

    Args:
        low: the lower bound: one number, or one for each of the n.
        high: the upper bound: one number, or one for each of the n.
        draws: `[..., n] float32`, as from `uniform`.

    Returns:
        `[..., n] float32`.
    """
    low64, high64 = (tf.constant(np.asarray(bound, np.float32).astype(np.float64)) for bound in (low, high))
    return tf.cast(low64 + (high64 - low64) * tf.cast(draws, tf.float64), tf.float32)


def uniform(keys: tf.Tensor, count: int) -> tf.Tensor:
    """Draws uniform numbers in [0, 1), which are exact multiples of 2**-24.

    Args:
        keys: `[B, 2] uint32`, as from `view_keys` or `fold_in`.
        count: the number of draws for each key.

    Returns:
        `[B, count] float32`.
    """
    counters = tf.range((count + 1) // 2)[tf.newaxis]  # [1, ceil(count / 2)]
    counters = tf.cast(counters, tf.uint32)
    halves = threefry(keys[:, :1], keys[:, 1:], counters, tf.zeros_like(counters))
    bits = tf.reshape(tf.stack(halves, axis=-1), [-1, (count + 1) // 2 * 2])[:, :count]
    top = tf.bitwise.right_shift(bits, tf.constant(8, tf.uint32))
    return tf.cast(tf.cast(top, tf.int32), tf.float32) * 2.0**-24
