"""Applies single augmentations to batches of images, with torchvision's arithmetic.

Each augmentation has two pure functions: `sample_*` draws parameters from keys, and `apply_*` applies them to pixels.

Images are `[B, H, W, 3]`, uint8 or float, with levels from 0 to 255. The results of `apply_*` are float32 levels; only
`apply_flip` keeps the type of its images. Under XLA all shapes must be static.

A batch of one image takes branches, so it skips the ops that it does not need. Larger batches compute every op and then
choose the results. The first is fast on a CPU, the second on an accelerator.
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
    apply_crop_by_kernel,
    apply_flip,
    centre_box,
    crop_box,
    crop_boxes,
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
    "apply_crop_by_kernel",
    "apply_flip",
    "apply_grayscale",
    "apply_hue",
    "apply_jitter",
    "apply_saturation",
    "apply_solarize",
    "centre_box",
    "crop_box",
    "crop_boxes",
    "normalize",
    "sample_blur",
    "sample_crop",
    "sample_flip",
    "sample_grayscale",
    "sample_jitter",
    "sample_solarize",
    "to_levels",
]
