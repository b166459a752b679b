"""Crops, resizes and flips images."""

import functools
import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from simsiam_tf.augment.threefry import uniform

# Top, left, height and width of a part of an image, in pixels.
Box = tuple[float, float, float, float]

_CROP_TRIES = 10
# The number of uniform numbers that a random crop uses: an area and an aspect for each try, and two for the position.
CROP_DRAWS = 2 * _CROP_TRIES + 2
# A draw of `uniform` has 24 bits: 12 of them choose a number of each table of exponentials.
_BITS, _HALF = 24, 12


def crop_box(
    draws: Sequence[float],
    height: int,
    width: int,
    scale: tuple[float, float],
    aspect: tuple[float, float] = (3 / 4, 4 / 3),
) -> Box:
    """Computes the box of torchvision's RandomResizedCrop: ten tries, then the centre.

    It is plain Python. `crop_boxes` computes the same boxes, to the bit, as TensorFlow ops.

    Args:
        draws: `CROP_DRAWS` uniform numbers, as from `uniform`.
        height: the height of the image in pixels.
        width: the width of the image in pixels.
        scale: the smallest and the largest fraction of the image's area.
        aspect: the smallest and the largest width / height of the box.

    Returns:
        Top, left, height and width, in whole pixels.
    """
    coarse, fine = _aspects(aspect)
    for area_draw, aspect_draw in zip(draws[:_CROP_TRIES], draws[_CROP_TRIES:-2], strict=True):
        area = height * width * (scale[0] + (scale[1] - scale[0]) * area_draw)
        bits = int(aspect_draw * 2**_BITS)
        ratio = coarse[bits >> _HALF] * fine[bits % 2**_HALF]
        w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < w <= width and 0 < h <= height:
            return math.floor(draws[-2] * (height - h + 1)), math.floor(draws[-1] * (width - w + 1)), h, w
    w, h = min(width, round(height * aspect[1])), min(height, round(width / aspect[0]))
    return (height - h) // 2, (width - w) // 2, h, w


def crop_boxes(
    draws: tf.Tensor,
    height: tf.Tensor | int,
    width: tf.Tensor | int,
    scale: tuple[float, float],
    aspect: tuple[float, float] = (3 / 4, 4 / 3),
) -> tf.Tensor:
    """Computes the boxes of `crop_box` for a batch, as TensorFlow ops.

    A box depends on how its sides are rounded, so the last bit of every number counts. Sums, products, quotients and
    square roots of float64 have the same bits in Python and in TensorFlow. The bits of an exponential differ, so these
    come from tables. XLA computes other square roots, so this must run outside of XLA.

    Args:
        draws: `[B, CROP_DRAWS] float32`, as from `uniform`.
        height: the height of each image in pixels, `[B]` or one for all.
        width: the width of each image in pixels, `[B]` or one for all.
        scale: the smallest and the largest fraction of the image's area.
        aspect: the smallest and the largest width / height of the box.

    Returns:
        `[B, 4] float32`: top, left, height and width, in whole pixels.
    """
    exact = tf.cast(draws, tf.float64)
    height, width = (tf.reshape(tf.cast(side, tf.float64), [-1, 1]) for side in (height, width))
    areas = exact[:, :_CROP_TRIES] * tf.constant(scale[1] - scale[0], tf.float64) + tf.constant(scale[0], tf.float64)
    areas = height * width * areas
    bits = tf.cast(exact[:, _CROP_TRIES:-2] * 2.0**_BITS, tf.int32)
    coarse, fine = (tf.constant(table, tf.float64) for table in _aspects(aspect))
    ratios = tf.gather(coarse, bits // 2**_HALF) * tf.gather(fine, bits % 2**_HALF)
    w, h = tf.round(tf.sqrt(areas * ratios)), tf.round(tf.sqrt(areas / ratios))
    fits = (w > 0) & (w <= width) & (h > 0) & (h <= height)
    first = tf.argmax(fits, axis=1)
    w, h = (tf.gather(side, first, batch_dims=1)[:, tf.newaxis] for side in (w, h))
    top, left = tf.floor(exact[:, -2:-1] * (height - h + 1)), tf.floor(exact[:, -1:] * (width - w + 1))
    found = tf.concat([top, left, h, w], axis=1)
    w, h = tf.minimum(width, tf.round(height * aspect[1])), tf.minimum(height, tf.round(width / aspect[0]))
    centre = tf.concat([(height - h) // 2, (width - w) // 2, h, w], axis=1)
    return tf.cast(tf.where(tf.reduce_any(fits, axis=1, keepdims=True), found, centre), tf.float32)


@functools.cache
def _aspects(aspect: tuple[float, float]) -> tuple[list[float], list[float]]:
    """Returns two tables whose products are exp(log(low) + (log(high) - log(low)) d) for each draw d of 24 bits."""
    low, high = math.log(aspect[0]), math.log(aspect[1])
    step = (high - low) / 2**_BITS
    coarse = [math.exp(low + step * (i << _HALF)) for i in range(2 ** (_BITS - _HALF))]
    return coarse, [math.exp(step * i) for i in range(2**_HALF)]


def sample_crop(
    keys: tf.Tensor,
    height: tf.Tensor,
    width: tf.Tensor,
    scale: tuple[float, float],
    aspect: tuple[float, float] = (3 / 4, 4 / 3),
) -> tf.Tensor:
    """Draws the box of a random crop for each image, as `crop_box` computes it; not for use under XLA.

    Args:
        keys: `[B, 2] uint32`.
        height: the height of all images in pixels, a scalar.
        width: the width of all images in pixels, a scalar.
        scale: the smallest and the largest fraction of the image's area.
        aspect: the smallest and the largest width / height of the box.

    Returns:
        `[B, 4] float32`: top, left, height and width, in whole pixels.
    """
    return crop_boxes(uniform(keys, CROP_DRAWS), height, width, scale, aspect)


def centre_box(
    height: Any, width: Any, short: Any, size: int, resize_to: Any, divide: Callable[[Any, Any], Any] = operator.truediv
) -> Box:
    """Computes the part of an image that torchvision's Resize(resize_to) and CenterCrop(size) show.

    Args:
        height: the height of the image in pixels, an integer or an integer tensor.
        width: the width of the image in pixels, an integer or an integer tensor.
        short: the smaller of height and width.
        size: the side of the result in pixels.
        resize_to: the length in pixels that the shorter side is resized to.
        divide: divides two integers; by default by `/`, in float64.

    Returns:
        Top, left, height and width, in pixels of the image. They need not be whole numbers.
    """
    box = []
    for side in (height, width):
        resized = side * resize_to // short
        slack = resized - size
        start = slack // 2 + slack % 2 * (slack // 2 % 2)  # torchvision rounds half a pixel to the even number
        box.append((divide(start * side, resized), divide(size * side, resized)))
    (top, h), (left, w) = box
    return top, left, h, w


def _resize_weights(start: tf.Tensor, length: tf.Tensor, source: tf.Tensor, target: int, bounded: bool) -> tf.Tensor:
    """Computes the matrix `[B, target, source]` of PIL's antialiased bilinear resize of `[start, start + length)`.

    If `bounded`, the filter sees only the pixels of the part, as if it were cut out first. Otherwise it also sees the
    pixels around it.
    """
    scale = (length / target)[:, None, None]
    support = tf.maximum(scale, 1.0)  # PIL always antialiases when it shrinks
    centre = (tf.range(target, dtype=tf.float32) + 0.5)[None, :, None] * scale
    pixel = tf.range(source, dtype=tf.float32)[None, None, :] - start[:, None, None]
    weight = tf.maximum(0.0, 1.0 - tf.abs(pixel + 0.5 - centre) / support)
    if bounded:
        weight = tf.where((pixel >= 0.0) & (pixel < length[:, None, None]), weight, 0.0)
    return weight / tf.reduce_sum(weight, axis=-1, keepdims=True)


def apply_crop(
    images: tf.Tensor, box: tf.Tensor, size: int, flip: tf.Tensor | None = None, bounded: bool = True
) -> tf.Tensor:
    """Crops and resizes images with PIL's antialiased bilinear filter, as two matrix products.

    Args:
        images: `[B, H, W, 3]`.
        box: the part of each image to show, `[B, 4]`: top, left, height and width in pixels.
        size: the side of the result in pixels.
        flip: whether each image is also mirrored, `[B] bool`. Mirroring the matrix costs less than mirroring pixels.
        bounded: whether the filter stops at the edge of the box, as after PIL's crop.

    Returns:
        `[B, size, size, 3] float32`.
    """
    images = tf.cast(images, tf.float32)
    _, height, width, channels = tf.unstack(tf.shape(images))
    rows = _resize_weights(box[:, 0], box[:, 2], height, size, bounded)  # [B, size, H]
    columns = _resize_weights(box[:, 1], box[:, 3], width, size, bounded)  # [B, size, W]
    if flip is not None:
        columns = tf.where(flip[:, None, None], tf.reverse(columns, axis=[1]), columns)
    x = tf.matmul(rows, tf.reshape(images, [-1, height, width * channels]))
    x = tf.transpose(tf.reshape(x, [-1, size, width, channels]), [0, 2, 1, 3])  # [B, W, size, C]
    x = tf.matmul(columns, tf.reshape(x, [-1, width, size * channels]))
    return tf.transpose(tf.reshape(x, [-1, size, size, 3]), [0, 2, 1, 3])


def apply_crop_by_kernel(images: tf.Tensor, box: tf.Tensor, size: int, bounded: bool = True) -> tf.Tensor:
    """Crops and resizes images as `apply_crop` does, by a kernel of TensorFlow.

    It takes a third of the time outside of XLA, which has no such kernel. The last bits differ.

    Args:
        images: `[B, H, W, 3]`.
        box: the part of each image to show, `[B, 4]`: top, left, height and width in pixels, whole numbers if
            `bounded`.
        size: the side of the result in pixels.
        bounded: whether the filter stops at the edge of the box, as after PIL's crop.

    Returns:
        `[B, size, size, 3] float32`.
    """

    def one(image_and_box: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
        image, place = image_and_box
        start, length = place[:2], place[2:]
        if bounded:
            top, left, height, width = tf.unstack(tf.cast(place, tf.int32))
            image, start = image[top : top + height, left : left + width], tf.zeros([2])
        scale = size / length
        shown = tf.raw_ops.ScaleAndTranslate(
            images=image[tf.newaxis], size=[size, size], scale=scale, translation=-start * scale, kernel_type="triangle"
        )
        return tf.ensure_shape(shown[0], [size, size, 3])

    return tf.map_fn(one, (images, box), fn_output_signature=tf.float32)


def sample_flip(keys: tf.Tensor, p: float) -> tf.Tensor:
    """Draws whether each image is mirrored: `[B] bool`, true with probability `p`."""
    return uniform(keys, 1)[:, 0] < p


def apply_flip(images: tf.Tensor, flip: tf.Tensor) -> tf.Tensor:
    """Mirrors the images `[B, H, W, 3]` for which `flip` `[B]` is true, and keeps their type."""
    if images.shape[0] == 1:
        return tf.cond(flip[0], lambda: tf.reverse(images, axis=[2]), lambda: images)
    return tf.where(flip[:, None, None, None], tf.reverse(images, axis=[2]), images)
