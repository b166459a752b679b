"""Changes the colours of images: colour jitter, grayscale, solarize, normalize.

Inside the ops, red, green and blue are separate planes, `[B, H, W]` each. A CPU is fast if the values of a channel are
contiguous, and XLA removes the unstacking and stacking between one op and the next.
"""

import itertools
from collections.abc import Sequence

import tensorflow as tf

from simsiam_tf.augment.threefry import between, uniform

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
# The weights of red, green and blue in PIL's conversion to grey.
_GRAY = (0.299, 0.587, 0.114)
# Red, green and blue, `[B, H, W]` each.
Planes = Sequence[tf.Tensor]
# The 24 orders of the four ops of the colour jitter.
_ORDERS = tuple(itertools.permutations(range(4)))


def _planes(images: tf.Tensor) -> Planes:
    return tf.unstack(tf.cast(images, tf.float32), axis=-1)


def _images(planes: Planes) -> tf.Tensor:
    return tf.stack(planes, axis=-1)


def _luma(planes: Planes) -> tf.Tensor:
    r, g, b = planes
    return _GRAY[0] * r + _GRAY[1] * g + _GRAY[2] * b


def _each(value: tf.Tensor) -> tf.Tensor:
    """Reshapes `[B]` to `[B, 1, 1]`, so that it broadcasts against `[B, H, W]`."""
    return value[:, None, None]


def _blend(planes: Planes, target: tf.Tensor | float, factor: tf.Tensor) -> Planes:
    """Blends every channel with `target`, as PIL does: `factor` `[B]` is the weight of the channel itself."""
    offset = target * (1.0 - _each(factor))
    return [tf.clip_by_value(x * _each(factor) + offset, 0.0, 255.0) for x in planes]


def _grey_mean(planes: Planes) -> tf.Tensor:
    return tf.round(tf.reduce_mean(_luma(planes), axis=[1, 2], keepdims=True))


def _brightness(planes: Planes, factor: tf.Tensor) -> Planes:
    return _blend(planes, 0.0, factor)


def _contrast(planes: Planes, factor: tf.Tensor) -> Planes:
    return _blend(planes, _grey_mean(planes), factor)


def _saturation(planes: Planes, factor: tf.Tensor) -> Planes:
    return _blend(planes, _luma(planes), factor)


def _hue(planes: Planes, shift: tf.Tensor) -> Planes:
    """Shifts the hue by `shift` `[B]` turns, keeping HSV value and saturation, without a conversion to HSV."""
    r, g, b = planes
    value = tf.maximum(tf.maximum(r, g), b)
    chroma = value - tf.minimum(tf.minimum(r, g), b)
    inverse = 1.0 / tf.maximum(chroma, 1e-6)  # the bound matters for grey pixels only, which have no hue
    # The channels are compared with each other, not with `value`: XLA of TensorFlow 2.20 computed whether a channel
    # equals `value` wrongly in a few pixels.
    sextant = tf.where(
        (r >= g) & (r >= b),
        (g - b) * inverse,
        tf.where(g >= b, 2.0 + (b - r) * inverse, 4.0 + (r - g) * inverse),
    )
    hue = sextant + 6.0 * _each(shift)
    shifted = []
    for offset in (5.0, 3.0, 1.0):
        k = hue + offset
        k -= 6.0 * tf.floor(k * (1.0 / 6.0))
        shifted.append(value - chroma * tf.clip_by_value(tf.minimum(k, 4.0 - k), 0.0, 1.0))
    return shifted


_JITTER = (_brightness, _contrast, _saturation, _hue)
_HUE = _JITTER.index(_hue)


def apply_brightness(images: tf.Tensor, factor: tf.Tensor) -> tf.Tensor:
    """Blends each image `[B, H, W, 3]` with black, as PIL does: `factor` `[B]` is the weight of the image itself."""
    return _images(_brightness(_planes(images), factor))


def apply_contrast(images: tf.Tensor, factor: tf.Tensor) -> tf.Tensor:
    """Blends each image with the mean of its grey version, as PIL does: `factor` `[B]` is the weight of the image."""
    return _images(_contrast(_planes(images), factor))


def apply_saturation(images: tf.Tensor, factor: tf.Tensor) -> tf.Tensor:
    """Blends each image with its grey version, as PIL does: `factor` `[B]` is the weight of the image."""
    return _images(_saturation(_planes(images), factor))


def apply_hue(images: tf.Tensor, shift: tf.Tensor) -> tf.Tensor:
    """Shifts the hue of each image by `shift` `[B]` turns of the colour circle, keeping HSV value and saturation."""
    return _images(_hue(_planes(images), shift))


def sample_jitter(
    keys: tf.Tensor, p: float, brightness: float, contrast: float, saturation: float, hue: float
) -> tuple[tf.Tensor, tf.Tensor]:
    """Draws the factors and the order of torchvision's ColorJitter for each image.

    Args:
        keys: `[B, 2] uint32`.
        p: the probability of the jitter. The other images get factors that change nothing.
        brightness: the strength b of the brightness jitter, whose factor is drawn from [max(0, 1 - b), 1 + b].
        contrast: the strength of the contrast jitter, with the same range of factors.
        saturation: the strength of the saturation jitter, with the same range of factors.
        hue: the strength h of the hue jitter, whose shift is drawn from [-h, h], in turns of the colour circle.

    Returns:
        The factors (brightness, contrast, saturation, hue shift), `[B, 4] float32`, and the order in which these four
        are applied, `[B, 4] int32`, uniform over the 24 orders.
    """
    draws = uniform(keys, 6)
    low = [max(0.0, 1.0 - s) for s in (brightness, contrast, saturation)] + [-hue]
    high = [1.0 + s for s in (brightness, contrast, saturation)] + [hue]
    factors = between(low, high, draws[:, :4])  # [B, 4]
    factors = tf.where(draws[:, 4:5] < p, factors, tf.constant([[1.0, 1.0, 1.0, 0.0]]))
    which = tf.cast(draws[:, 5] * len(_ORDERS), tf.int32)
    return factors, tf.gather(tf.constant(_ORDERS, tf.int32), which)


def _blend_by_place(planes: Planes, op: tf.Tensor, factor: tf.Tensor) -> Planes:
    """Applies brightness (0), contrast (1) or saturation (2) to each image; any other `op` `[B]` does nothing."""
    gray = _luma(planes)  # [B, H, W]
    factor = tf.where((op >= 0) & (op < _HUE), factor, 1.0)
    of_mean, of_gray = (tf.where(op == i, 1.0 - factor, 0.0) for i in (1, 2))
    mean = tf.round(tf.reduce_mean(gray, axis=[1, 2]))
    target = _each(of_gray) * gray + _each(of_mean * mean)
    return [tf.clip_by_value(x * _each(factor) + target, 0.0, 255.0) for x in planes]


def _jitter_all(planes: Planes, factors: tf.Tensor, order: tf.Tensor) -> Planes:
    """Jitters many images at once, each in its own order.

    Brightness, contrast and saturation are all blends, so one pass can apply a different one to each image. Three
    passes before the hue, the hue, and three passes after it are enough for any order. One pass for each op in each of
    the four places would take sixteen.
    """
    hue_place = tf.argmax(tf.cast(order == _HUE, tf.int32), axis=1, output_type=tf.int32)  # [B]

    def blend(planes: Planes, place: int, active: tf.Tensor) -> Planes:
        op = tf.where(active, order[:, place], -1)
        return _blend_by_place(planes, op, tf.gather(factors, tf.maximum(op, 0), batch_dims=1))

    for place in (0, 1, 2):
        planes = blend(planes, place, place < hue_place)
    planes = _hue(planes, factors[:, _HUE])
    for place in (1, 2, 3):
        planes = blend(planes, place, place > hue_place)
    return planes


def _jitter_one(planes: Planes, factors: tf.Tensor, order: tf.Tensor) -> Planes:
    """Jitters one image, with its ops in its own order."""

    def step(place: tf.Tensor, *planes: tf.Tensor) -> tuple[tf.Tensor, ...]:
        branches = [lambda op=op, i=i: op(planes, factors[:, i]) for i, op in enumerate(_JITTER)]
        return place + 1, *tf.switch_case(order[0, place], branches)

    # This is a loop because XLA takes much longer to compile four switches in a row (docs/results/input.md).
    _, *planes = tf.while_loop(lambda place, *_: place < len(_JITTER), step, (0, *planes))
    return planes


def apply_jitter(images: tf.Tensor, factors: tf.Tensor, order: tf.Tensor) -> tf.Tensor:
    """Applies brightness, contrast, saturation and hue to each image, in the image's own order.

    Args:
        images: `[B, H, W, 3]`.
        factors: the factors of each image, `[B, 4]`, as from `sample_jitter`.
        order: the order of the ops for each image, `[B, 4]`, as from `sample_jitter`.

    Returns:
        `[B, H, W, 3] float32`.
    """
    jitter = _jitter_one if images.shape[0] == 1 else _jitter_all
    return _images(jitter(_planes(images), factors, order))


def sample_grayscale(keys: tf.Tensor, p: float) -> tf.Tensor:
    """Draws whether each image loses its colour: `[B] bool`, true with probability `p`."""
    return uniform(keys, 1)[:, 0] < p


def apply_grayscale(images: tf.Tensor, gray: tf.Tensor) -> tf.Tensor:
    """Makes the images `[B, H, W, 3]` grey for which `gray` `[B]` is true."""
    planes = _planes(images)
    luma = _luma(planes)
    return _images([tf.where(_each(gray), luma, plane) for plane in planes])


def sample_solarize(keys: tf.Tensor, p: float) -> tf.Tensor:
    """Draws whether each image is solarized: `[B] bool`, true with probability `p`."""
    return uniform(keys, 1)[:, 0] < p


def apply_solarize(images: tf.Tensor, solarize: tf.Tensor, threshold: float = 128.0) -> tf.Tensor:
    """Inverts the levels from `threshold` on, in the images `[B, H, W, 3]` for which `solarize` `[B]` is true."""
    planes = _planes(images)
    # PIL has whole levels: it would have rounded 127.5 and more to 128.
    return _images([tf.where(_each(solarize) & (x >= threshold - 0.5), 255.0 - x, x) for x in planes])


def normalize(images: tf.Tensor) -> tf.Tensor:
    """Normalises levels from 0 to 255 `[B, H, W, 3]` by ImageNet's mean and standard deviation of each channel."""
    moments = zip(_planes(images), IMAGENET_MEAN, IMAGENET_STD, strict=True)
    return _images([x * (1.0 / (255.0 * std)) - mean / std for x, mean, std in moments])


def to_levels(images: tf.Tensor) -> tf.Tensor:
    """Inverts `normalize`, and rounds to whole levels: `[B, H, W, 3] uint8`."""
    moments = zip(_planes(images), IMAGENET_MEAN, IMAGENET_STD, strict=True)
    levels = _images([(x * std + mean) * 255.0 for x, mean, std in moments])
    return tf.cast(tf.clip_by_value(tf.round(levels), 0.0, 255.0), tf.uint8)
