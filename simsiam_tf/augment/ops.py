"""Augmentations with torchvision's arithmetic, batched and pure.

Each has its sampling (`sample_*`: keys to parameters) apart from its application (`apply_*`: parameters
to pixels). Images are `[B, H, W, 3] float32` in levels 0 to 255; every shape is static, as XLA wants.
"""

import itertools
import math

import tensorflow as tf

from simsiam_tf.augment.random import uniform

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
_GRAY = (0.299, 0.587, 0.114)
_ORDERS = tuple(itertools.permutations(range(4)))
_CROP_TRIES = 10


def sample_crop(
    keys: tf.Tensor, height: tf.Tensor, width: tf.Tensor, min_scale: float, max_scale: float = 1.0
) -> tf.Tensor:
    """Boxes of torchvision's RandomResizedCrop: ten tries, then the centre.

    Args:
        keys: `[B, 2] uint32`.
        height: of the images, scalar or `[B]`, pixels.
        width: likewise.
        min_scale: least share of the image's area.
        max_scale: greatest share.

    Returns:
        `[B, 4] float32`: top, left, height, width in whole pixels.
    """
    height, width = (tf.cast(tf.broadcast_to(side, [tf.shape(keys)[0]]), tf.float32) for side in (height, width))
    draws = uniform(keys, 2 * _CROP_TRIES + 2)  # [B, 22]
    area = height[:, None] * width[:, None] * (min_scale + (max_scale - min_scale) * draws[:, :_CROP_TRIES])
    low, high = math.log(3 / 4), math.log(4 / 3)
    aspect = tf.exp(low + (high - low) * draws[:, _CROP_TRIES : 2 * _CROP_TRIES])
    w, h = tf.round(tf.sqrt(area * aspect)), tf.round(tf.sqrt(area / aspect))  # [B, 10]
    fits = (w > 0) & (w <= width[:, None]) & (h > 0) & (h <= height[:, None])
    first = tf.argmax(tf.cast(fits, tf.int32), axis=1)  # the first try that fits
    w, h = tf.gather(w, first, batch_dims=1), tf.gather(h, first, batch_dims=1)

    ratio = width / height
    centre_w = tf.where(ratio > 4 / 3, tf.round(height * 4 / 3), width)
    centre_h = tf.where(ratio < 3 / 4, tf.round(width / (3 / 4)), height)
    found = tf.reduce_any(fits, axis=1)
    w, h = tf.where(found, w, centre_w), tf.where(found, h, centre_h)
    top = tf.where(found, tf.floor(draws[:, -2] * (height - h + 1)), tf.floor((height - h) / 2))
    left = tf.where(found, tf.floor(draws[:, -1] * (width - w + 1)), tf.floor((width - w) / 2))
    return tf.stack([top, left, h, w], axis=1)


def resize_weights(start: tf.Tensor, length: tf.Tensor, source: tf.Tensor, target: int) -> tf.Tensor:
    """The matrix of PIL's antialiased bilinear resize of `[start, start + length)` along one axis.

    Args:
        start: `[B]` first pixel of the crop.
        length: `[B]` pixels of the crop.
        source: pixels of the whole axis.
        target: pixels of the result.

    Returns:
        `[B, target, source] float32`; rows sum to 1.
    """
    scale = length / target  # [B]
    support = tf.maximum(scale, 1.0)[:, None, None]  # PIL always filters when it shrinks
    centre = (tf.range(target, dtype=tf.float32) + 0.5)[None, :, None] * scale[:, None, None]
    pixel = tf.range(source, dtype=tf.float32)[None, None, :] - start[:, None, None]
    weight = tf.maximum(0.0, 1.0 - tf.abs(pixel + 0.5 - centre) / support)
    inside = (pixel >= 0.0) & (pixel < length[:, None, None])
    weight = tf.where(inside, weight, 0.0)
    return weight / tf.reduce_sum(weight, axis=-1, keepdims=True)


def apply_crop(images: tf.Tensor, box: tf.Tensor, size: int, flip: tf.Tensor | None = None) -> tf.Tensor:
    """Crops and resizes with PIL's antialiased bilinear filter, as two products with a matrix.

    Args:
        images: `[B, H, W, 3]`, uint8 or float levels.
        box: `[B, 4]` as from `sample_crop`.
        size: side of the result, pixels.
        flip: `[B] bool`, images to mirror on the way: mirroring the matrix costs less than mirroring pixels.

    Returns:
        `[B, size, size, 3] float32`.
    """
    images = tf.cast(images, tf.float32)
    _, height, width, channels = tf.unstack(tf.shape(images))
    rows = resize_weights(box[:, 0], box[:, 2], height, size)  # [B, size, H]
    columns = resize_weights(box[:, 1], box[:, 3], width, size)  # [B, size, W]
    if flip is not None:
        columns = tf.where(flip[:, None, None], tf.reverse(columns, axis=[1]), columns)
    x = tf.matmul(rows, tf.reshape(images, [-1, height, width * channels]))
    x = tf.transpose(tf.reshape(x, [-1, size, width, channels]), [0, 2, 1, 3])  # [B, W, size, C]
    x = tf.matmul(columns, tf.reshape(x, [-1, width, size * channels]))
    return tf.transpose(tf.reshape(x, [-1, size, size, 3]), [0, 2, 1, 3])


def sample_flip(keys: tf.Tensor, p: float) -> tf.Tensor:
    """Whether to mirror each image: `[B] bool`, true with probability `p`."""
    return uniform(keys, 1)[:, 0] < p


def apply_flip(images: tf.Tensor, flip: tf.Tensor) -> tf.Tensor:
    """Mirrors the images for which `flip` `[B]` is true."""
    return tf.where(flip[:, None, None, None], tf.reverse(images, axis=[2]), images)


def sample_jitter(
    keys: tf.Tensor, p: float, brightness: float, contrast: float, saturation: float, hue: float
) -> tuple[tf.Tensor, tf.Tensor]:
    """Factors and order of torchvision's ColorJitter, applied with probability `p`.

    Args:
        keys: `[B, 2] uint32`.
        p: probability; the other images get the factors that change nothing.
        brightness: b draws the factor from [max(0, 1 - b), 1 + b].
        contrast: likewise.
        saturation: likewise.
        hue: h draws the shift from [-h, h], in turns of the colour circle.

    Returns:
        Factors `[B, 4] float32` (brightness, contrast, saturation, hue shift), and the order in which
        these four are applied, `[B, 4] int32`, uniform over the 24.
    """
    draws = uniform(keys, 6)
    strengths = tf.constant([brightness, contrast, saturation])
    low = tf.maximum(0.0, 1.0 - strengths)
    factors = low + (1.0 + strengths - low) * draws[:, :3]
    factors = tf.concat([factors, hue * (2.0 * draws[:, 3:4] - 1.0)], axis=1)  # [B, 4]
    factors = tf.where(draws[:, 4:5] < p, factors, tf.constant([[1.0, 1.0, 1.0, 0.0]]))
    which = tf.cast(draws[:, 5] * len(_ORDERS), tf.int32)
    return factors, tf.gather(tf.constant(_ORDERS, tf.int32), which)


def to_gray(images: tf.Tensor) -> tf.Tensor:
    """Luma as PIL's: `[B, H, W, 3]` to `[B, H, W, 1]`."""
    return _luma(tf.unstack(images, axis=-1))[..., tf.newaxis]


def _luma(planes):
    """Luma of red, green and blue apart, `[B, H, W]`."""
    r, g, b = planes
    return _GRAY[0] * r + _GRAY[1] * g + _GRAY[2] * b


def _blend(images, target, factor):
    return tf.clip_by_value(target + (images - target) * factor[:, None, None, None], 0.0, 255.0)


def apply_brightness(images: tf.Tensor, factor: tf.Tensor) -> tf.Tensor:
    """Blends with black by `factor` `[B]`, as PIL does."""
    return _blend(images, 0.0, factor)


def apply_contrast(images: tf.Tensor, factor: tf.Tensor) -> tf.Tensor:
    """Blends with the mean of the grey image by `factor` `[B]`, as PIL does."""
    return _blend(images, tf.round(tf.reduce_mean(to_gray(images), axis=[1, 2], keepdims=True)), factor)


def apply_saturation(images: tf.Tensor, factor: tf.Tensor) -> tf.Tensor:
    """Blends with the grey image by `factor` `[B]`, as PIL does."""
    return _blend(images, to_gray(images), factor)


def _shift_hue(planes, shift):
    """`apply_hue` on red, green and blue apart, `[B, H, W]` each."""
    r, g, b = planes
    value = tf.maximum(tf.maximum(r, g), b)
    chroma = value - tf.minimum(tf.minimum(r, g), b)
    inverse = tf.math.divide_no_nan(1.0, chroma)
    sextant = tf.where(
        tf.equal(value, r),
        (g - b) * inverse,
        tf.where(tf.equal(value, g), 2.0 + (b - r) * inverse, 4.0 + (r - g) * inverse),
    )
    hue = sextant + 6.0 * shift[:, None, None]
    shifted = []
    for offset in (5.0, 3.0, 1.0):
        k = hue + offset
        k -= 6.0 * tf.floor(k * (1.0 / 6.0))
        shifted.append(value - chroma * tf.clip_by_value(tf.minimum(k, 4.0 - k), 0.0, 1.0))
    return shifted


def apply_hue(images: tf.Tensor, shift: tf.Tensor) -> tf.Tensor:
    """Shifts the hue by `shift` `[B]` turns, keeping HSV value and saturation."""
    return tf.stack(_shift_hue(tf.unstack(images, axis=-1), shift), axis=-1)


def _jitter_blend(planes, op, factor):
    """One blend of each image: brightness (0), contrast (1) or saturation (2); any other `op` `[B]` does nothing."""
    gray = _luma(planes)  # [B, H, W]
    factor = tf.where((op >= 0) & (op <= 2), factor, 1.0)
    of_mean, of_gray = (tf.where(op == i, 1.0 - factor, 0.0) for i in (1, 2))
    mean = tf.round(tf.reduce_mean(gray, axis=[1, 2]))
    target = of_gray[:, None, None] * gray + (of_mean * mean)[:, None, None]
    return [tf.clip_by_value(x * factor[:, None, None] + target, 0.0, 255.0) for x in planes]


def apply_jitter(images: tf.Tensor, factors: tf.Tensor, order: tf.Tensor) -> tf.Tensor:
    """Brightness, contrast, saturation and hue, in each image's own order.

    The first three are all blends. Those that stand before the hue in an image's order, the hue, and those after
    it take seven passes; a pass for each op in each of the four places would take sixteen.

    Args:
        images: `[B, H, W, 3]`.
        factors: `[B, 4]` as from `sample_jitter`.
        order: `[B, 4]` likewise.

    Returns:
        `[B, H, W, 3]`.
    """
    planes = tf.unstack(images, axis=-1)  # a channel's values in a row are what a CPU is fast at
    hue_place = tf.argmax(tf.cast(order == 3, tf.int32), axis=1, output_type=tf.int32)  # [B]

    def blend(planes, place, active):
        op = tf.where(active, order[:, place], -1)
        return _jitter_blend(planes, op, tf.gather(factors, tf.maximum(op, 0), batch_dims=1))

    for place in (0, 1, 2):
        planes = blend(planes, place, place < hue_place)
    planes = _shift_hue(planes, factors[:, 3])
    for place in (1, 2, 3):
        planes = blend(planes, place, place > hue_place)
    return tf.stack(planes, axis=-1)


def sample_grayscale(keys: tf.Tensor, p: float) -> tf.Tensor:
    """Whether to drop each image's colour: `[B] bool`, true with probability `p`."""
    return uniform(keys, 1)[:, 0] < p


def apply_grayscale(images: tf.Tensor, gray: tf.Tensor) -> tf.Tensor:
    """Drops the colour of the images for which `gray` `[B]` is true."""
    planes = tf.unstack(images, axis=-1)
    luma = _luma(planes)
    return tf.stack([tf.where(gray[:, None, None], luma, plane) for plane in planes], axis=-1)


def sample_blur(keys: tf.Tensor, p: float, min_sigma: float = 0.1, max_sigma: float = 2.0) -> tf.Tensor:
    """Standard deviations of the Gaussian blur, `[B] float32` pixels; 0, no blur, with probability 1 - `p`."""
    draws = uniform(keys, 2)
    return tf.where(draws[:, 0] < p, min_sigma + (max_sigma - min_sigma) * draws[:, 1], 0.0)


def blur_weights(sigma: tf.Tensor, size: int) -> tf.Tensor:
    """The matrix `[B, size, size]` of a Gaussian blur along one axis, the edge pixels repeated beyond it."""
    reach = size  # every pixel beyond the edge that could matter
    source = tf.range(-reach, size + reach, dtype=tf.float32)
    distance = tf.range(size, dtype=tf.float32)[:, None] - source[None, :]
    wide = tf.exp(-0.5 * tf.square(distance)[None] / tf.square(tf.maximum(sigma, 1e-3))[:, None, None])
    wide /= tf.reduce_sum(wide, axis=-1, keepdims=True)
    before = tf.reduce_sum(wide[:, :, : reach + 1], axis=-1, keepdims=True)
    after = tf.reduce_sum(wide[:, :, reach + size - 1 :], axis=-1, keepdims=True)
    return tf.concat([before, wide[:, :, reach + 1 : reach + size - 1], after], axis=-1)


def apply_blur(images: tf.Tensor, sigma: tf.Tensor) -> tf.Tensor:
    """Gaussian blur of each image by its own `sigma` `[B]`; 0 leaves it as it is."""
    size = images.shape[1]
    weights = blur_weights(sigma, size)  # the images are square
    x = tf.matmul(weights, tf.reshape(images, [-1, size, size * 3]))
    x = tf.transpose(tf.reshape(x, [-1, size, size, 3]), [0, 2, 1, 3])
    x = tf.matmul(weights, tf.reshape(x, [-1, size, size * 3]))
    return tf.transpose(tf.reshape(x, [-1, size, size, 3]), [0, 2, 1, 3])


def normalize(images: tf.Tensor) -> tf.Tensor:
    """Levels 0 to 255 to ImageNet's zero mean and unit deviation, channel by channel."""
    planes = tf.unstack(images, axis=-1)
    moments = zip(planes, IMAGENET_MEAN, IMAGENET_STD, strict=True)
    return tf.stack([x * (1.0 / (255.0 * std)) - mean / std for x, mean, std in moments], axis=-1)


def centre_box(height: tf.Tensor, width: tf.Tensor, size: int, batch: tf.Tensor) -> tf.Tensor:
    """The box of the evaluation crop: an image of `size` is taken whole, any other as 256 -> centre 224.

    That is: shorter side to size * 256 / 224, then the central square of `size`.

    Returns:
        `[batch, 4] float32` as from `sample_crop`.
    """
    height, width = tf.cast(height, tf.float32), tf.cast(width, tf.float32)
    short = tf.minimum(height, width)
    whole = (height == size) & (width == size)
    side = tf.where(whole, short, short * 224 / 256)
    # Whole pixels: a fractional start can leave the first row of an enlarged crop without any source pixel.
    box = tf.round(tf.stack([(height - side) / 2, (width - side) / 2, side, side]))
    return tf.tile(box[None], [batch, 1])
