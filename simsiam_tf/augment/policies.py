"""Recipes of augmentations, with the paper's figures (Sec. 3, App. A and D)."""

import dataclasses

import tensorflow as tf

from simsiam_tf.augment import ops
from simsiam_tf.augment.random import fold_in
from simsiam_tf.config import AugmentConfig


@dataclasses.dataclass(frozen=True)
class Policy:
    """Strengths and probabilities of one view's augmentation.

    Attributes:
        crop_min_scale: least share of the image's area in a crop; 0: no random crop.
        flip_p: probability of a horizontal flip.
        jitter_p: probability of the colour jitter.
        brightness, contrast, saturation, hue: its strengths, as torchvision's ColorJitter's.
        gray_p: probability of dropping colour.
        blur_p: probability of a Gaussian blur with sigma 0.1 to 2 pixels.
    """

    crop_min_scale: float = 0.0
    flip_p: float = 0.0
    jitter_p: float = 0.0
    brightness: float = 0.4
    contrast: float = 0.4
    saturation: float = 0.4
    hue: float = 0.1
    gray_p: float = 0.0
    blur_p: float = 0.0


POLICIES = {
    # blur_p: the paper gives no probability; 0.5 is that of the authors' release.
    "simsiam": Policy(crop_min_scale=0.2, flip_p=0.5, jitter_p=0.8, gray_p=0.2, blur_p=0.5),
    "simsiam_cifar": Policy(crop_min_scale=0.2, flip_p=0.5, jitter_p=0.8, gray_p=0.2),
    "crop_flip": Policy(crop_min_scale=0.08, flip_p=0.5),
    "none": Policy(),
}


def resolve(config: AugmentConfig) -> Policy:
    """The policy of a run: the named one with the run's own figures."""
    return dataclasses.replace(POLICIES[config.augmentation], **config.strengths())


def crop(policy: Policy, images: tf.Tensor, keys: tf.Tensor, size: int) -> tf.Tensor:
    """The geometric half of a view, crop and flip: `[B, H, W, 3]` uint8 to `[B, size, size, 3] float32` levels."""
    batch, height, width = tf.shape(images)[0], tf.shape(images)[1], tf.shape(images)[2]
    if policy.crop_min_scale > 0:
        box = ops.sample_crop(fold_in(keys, 0), height, width, policy.crop_min_scale)
    else:
        box = ops.centre_box(height, width, size, batch)
    # Torchvision flips last; every op in between is the same on a mirrored image.
    flip = ops.sample_flip(fold_in(keys, 4), policy.flip_p) if policy.flip_p > 0 else None
    return ops.apply_crop(images, box, size, flip)


def finish(policy: Policy, images: tf.Tensor, keys: tf.Tensor) -> tf.Tensor:
    """The other half: colours, blur, and the scale that a backbone expects; shapes stay."""
    if policy.jitter_p > 0:
        strengths = (policy.brightness, policy.contrast, policy.saturation, policy.hue)
        images = ops.apply_jitter(images, *ops.sample_jitter(fold_in(keys, 1), policy.jitter_p, *strengths))
    if policy.gray_p > 0:
        images = ops.apply_grayscale(images, ops.sample_grayscale(fold_in(keys, 2), policy.gray_p))
    if policy.blur_p > 0:
        images = ops.apply_blur(images, ops.sample_blur(fold_in(keys, 3), policy.blur_p))
    return ops.normalize(images)
