"""Defines augmentation policies: the ops of a view, with the strengths and probabilities that the papers give."""

import dataclasses

from simsiam_tf.config.augment import AugmentConfig
from simsiam_tf.errors import check


@dataclasses.dataclass(frozen=True)
class Policy:
    """Holds the strengths and probabilities of one view's augmentation. The ops are applied in the order of the fields.

    Attributes:
        view_size: the side of the view, as a fraction of the run's image size.
        crop_min_scale: the smallest fraction of the image's area in a random crop; 0 takes the centre instead.
        crop_max_scale: the largest fraction of the image's area in a random crop.
        crop_min_aspect: the smallest width / height of a random crop.
        crop_max_aspect: the largest width / height of a random crop.
        centre_resize: the size that the shorter side is resized to before the centre is taken, in units of the view's
            side. An image that already has the view's size is not resized. Random crops do not use it.
        flip_p: the probability of a horizontal flip.
        jitter_p: the probability of the colour jitter.
        brightness: the strength of the brightness jitter, as in torchvision's ColorJitter.
        contrast: the strength of the contrast jitter.
        saturation: the strength of the saturation jitter.
        hue: the strength of the hue jitter, in turns of the colour circle.
        gray_p: the probability of removing the colour.
        blur_p: the probability of a Gaussian blur.
        blur_min_sigma: the smallest standard deviation of the blur, in pixels.
        blur_max_sigma: the largest standard deviation of the blur, in pixels.
        solarize_p: the probability of inverting the bright levels.
        solarize_threshold: the lowest level that is inverted, from 0 to 255.

    Raises:
        UsageError: if a value is out of its range.

    Example:
        >>> strong = Policy(crop_min_scale=0.08, flip_p=0.5, jitter_p=0.8, hue=0.2)
        >>> strong.crops_at_random
        True
    """

    view_size: float = 1.0
    crop_min_scale: float = 0.0
    crop_max_scale: float = 1.0
    crop_min_aspect: float = 3 / 4
    crop_max_aspect: float = 4 / 3
    centre_resize: float = 1.0
    flip_p: float = 0.0
    jitter_p: float = 0.0
    brightness: float = 0.4
    contrast: float = 0.4
    saturation: float = 0.4
    hue: float = 0.1
    gray_p: float = 0.0
    blur_p: float = 0.0
    blur_min_sigma: float = 0.1
    blur_max_sigma: float = 2.0
    solarize_p: float = 0.0
    solarize_threshold: float = 128.0

    def __post_init__(self) -> None:
        for name in ("flip_p", "jitter_p", "gray_p", "blur_p", "solarize_p", "crop_max_scale"):
            check(getattr(self, name) <= 1, f"--{name} must be at most 1.", getattr(self, name))
        check(self.hue <= 0.5, "--hue must be at most 0.5.", self.hue)
        check(self.crop_min_aspect > 0, "--crop_min_aspect must be positive.", self.crop_min_aspect)
        check(self.blur_min_sigma > 0, "--blur_min_sigma must be positive.", self.blur_min_sigma)
        for name in ("crop_{}_scale", "crop_{}_aspect", "blur_{}_sigma"):
            low, high = name.format("min"), name.format("max")
            least, greatest = getattr(self, low), getattr(self, high)
            check(least <= greatest, f"--{low} must not exceed --{high}, {greatest:g}.", f"{least:g}")

    def side(self, image_size: int) -> int:
        """Returns the side of the view in pixels, given the run's image size in pixels."""
        return max(1, round(self.view_size * image_size))

    @property
    def crops_at_random(self) -> bool:
        """Returns whether the view is a random crop instead of the centre."""
        return self.crop_min_scale > 0


# The paper gives no probability of the blur. 0.5 is that of the authors' release.
_SIMSIAM = Policy(crop_min_scale=0.2, flip_p=0.5, jitter_p=0.8, gray_p=0.2, blur_p=0.5)
_STRONG_JITTER = {"brightness": 0.8, "contrast": 0.8, "saturation": 0.8, "hue": 0.2}
_SIMCLR = dataclasses.replace(_SIMSIAM, crop_min_scale=0.08, **_STRONG_JITTER)
_BYOL = dataclasses.replace(_SIMSIAM, crop_min_scale=0.08, saturation=0.2)

# The policies of view 1 and view 2, by the value of --augmentation. MoCo v2 has the policies of SimSiam.
POLICIES: dict[str, tuple[Policy, Policy]] = {
    "simsiam": (_SIMSIAM, _SIMSIAM),  # Sec. 3
    "simsiam_cifar": (dataclasses.replace(_SIMSIAM, blur_p=0.0),) * 2,  # App. D
    "simclr": (_SIMCLR, _SIMCLR),  # SimCLR, App. A
    "byol": (  # BYOL, Table 6, but not its bicubic resizing: the paper compares methods on the same crops
        dataclasses.replace(_BYOL, blur_p=1.0),
        dataclasses.replace(_BYOL, blur_p=0.1, solarize_p=0.2),
    ),
    "swav": (dataclasses.replace(_SIMCLR, crop_min_scale=0.14),) * 2,  # the two large views of SwAV
    "linear_train": (Policy(crop_min_scale=0.08, flip_p=0.5),) * 2,  # App. A
    "linear_eval": (Policy(centre_resize=256 / 224),) * 2,  # the shorter side to 256, then the central 224
    "none": (Policy(), Policy()),
}

# The crop that every evaluation uses.
EVALUATION_CROP = POLICIES["linear_eval"][0]


def resolve(config: AugmentConfig) -> tuple[Policy, ...]:
    """Returns the policy of each view of a run: the two large views, then the small ones if there are any.

    Small views take the policies of view 1 and view 2 in turn.

    Args:
        config: the name of the policies, and the numbers that replace theirs.

    Raises:
        UsageError: if a number is out of its range.
    """
    pair = [dataclasses.replace(p, **config.strengths(i)) for i, p in enumerate(POLICIES[config.augmentation])]
    scales = {"crop_min_scale": config.small_crop_min_scale, "crop_max_scale": config.small_crop_max_scale}
    small = [dataclasses.replace(p, view_size=config.small_view_size, **scales) for p in pair]
    return (*pair, *(small[i % 2] for i in range(config.small_views)))
