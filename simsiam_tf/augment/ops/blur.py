"""Blurs images by a Gaussian."""

import math

import tensorflow as tf

from simsiam_tf.augment.threefry import between, uniform

# The kernel ends after this many standard deviations. The rest of the Gaussian holds 6e-5 of its weight.
_REACH = 4.0


def sample_blur(keys: tf.Tensor, p: float, min_sigma: float = 0.1, max_sigma: float = 2.0) -> tf.Tensor:
    """Draws the standard deviation of the blur of each image.

    Args:
        keys: `[B, 2] uint32`.
        p: the probability that an image is blurred.
        min_sigma: the smallest standard deviation in pixels.
        max_sigma: the largest standard deviation in pixels.

    Returns:
        `[B] float32`, in pixels; 0 for images that are not blurred.
    """
    draws = uniform(keys, 2)
    return tf.where(draws[:, 0] < p, between(min_sigma, max_sigma, draws[:, 1]), 0.0)


def _half_kernel(sigma: tf.Tensor, radius: int) -> list[tf.Tensor]:
    """Computes the right half of the kernel: `radius + 1` weights `[B, 1, 1, 1]`, the middle one first."""
    distance = tf.range(radius + 1, dtype=tf.float32)
    weights = tf.exp(-0.5 * tf.square(distance / tf.maximum(sigma, 1e-3)[:, None]))  # [B, radius + 1]
    weights /= 2.0 * tf.reduce_sum(weights, axis=1, keepdims=True) - weights[:, :1]
    return tf.unstack(weights[:, None, None, None], axis=-1)


def _part(x: tf.Tensor, axis: int, start: int, length: int) -> tf.Tensor:
    """Slices one axis of a tensor of rank 4."""
    return tf.slice(
        x,
        [start if i == axis else 0 for i in range(4)],
        [length if i == axis else -1 for i in range(4)],
    )


def _blur_axis(x: tf.Tensor, kernel: list[tf.Tensor], axis: int) -> tf.Tensor:
    """Blurs `[B, 3, H, W]` along one axis, with the edge pixels repeated outside the image."""
    radius, side = len(kernel) - 1, x.shape[axis]
    repeats = [radius if i == axis else 1 for i in range(4)]
    first, last = _part(x, axis, 0, 1), _part(x, axis, side - 1, 1)
    wide = tf.concat([tf.tile(first, repeats), x, tf.tile(last, repeats)], axis)
    y = kernel[0] * x
    for i in range(1, radius + 1):
        y += kernel[i] * (_part(wide, axis, radius - i, side) + _part(wide, axis, radius + i, side))
    return y


def apply_blur(images: tf.Tensor, sigma: tf.Tensor, max_sigma: float = 2.0) -> tf.Tensor:
    """Blurs each image by a Gaussian with its own standard deviation.

    Args:
        images: `[B, H, W, 3]`, with static height and width.
        sigma: the standard deviation of each image in pixels, `[B]`; 0 leaves the image as it is.
        max_sigma: the largest possible `sigma`, which fixes the length of the kernel.

    Returns:
        `[B, H, W, 3] float32`.
    """
    x = tf.transpose(tf.cast(images, tf.float32), [0, 3, 1, 2])  # [B, 3, H, W]

    def blurred() -> tf.Tensor:
        kernel = _half_kernel(sigma, math.ceil(_REACH * max_sigma))
        return _blur_axis(_blur_axis(x, kernel, 2), kernel, 3)

    x = tf.cond(sigma[0] > 0.0, blurred, lambda: x) if images.shape[0] == 1 else blurred()
    return tf.transpose(x, [0, 2, 3, 1])
