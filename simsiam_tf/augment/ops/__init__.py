"""Augmentations with torchvision's arithmetic, batched and pure.

Each has its sampling (`sample_*`: keys to parameters) apart from its application (`apply_*`: parameters to
pixels). Images are `[B, H, W, 3]`, uint8 or float levels from 0 to 255; results are float32 levels, but for a
flip's, which are of its images' type. Every shape is static, as XLA wants. A batch of one takes branches instead
of doing everything and choosing: one image after another is what a CPU is fast at, all of them at once what an
accelerator is fast at.
"""

from simsiam_tf.augment.ops.blur import apply_blur, sample_blur
from simsiam_tf.augment.ops.colour import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    apply_brightness,
    apply_contrast,
    apply_grayscale,
    apply_hue,
    apply_jitter,
    apply_saturation,
    apply_solarize,
    normalize,
    sample_grayscale,
    sample_jitter,
    sample_solarize,
    to_levels,
)
from simsiam_tf.augment.ops.geometry import (
    CROP_DRAWS,
    Box,
    apply_crop,
    apply_flip,
    centre_box,
    crop_box,
    sample_crop,
    sample_flip,
)

__all__ = [
    "CROP_DRAWS",
    "IMAGENET_MEAN",
    "IMAGENET_STD",
    "Box",
    "apply_blur",
    "apply_brightness",
    "apply_contrast",
    "apply_crop",
    "apply_flip",
    "apply_grayscale",
    "apply_hue",
    "apply_jitter",
    "apply_saturation",
    "apply_solarize",
    "centre_box",
    "crop_box",
    "normalize",
    "sample_blur",
    "sample_crop",
    "sample_flip",
    "sample_grayscale",
    "sample_jitter",
    "sample_solarize",
    "to_levels",
]
