"""Recipes of augmentations, with the papers' figures, and how a batch becomes its views."""

import dataclasses

from simsiam_tf.config.augment import AugmentConfig
from simsiam_tf.errors import check


@dataclasses.dataclass(frozen=True)
class Policy:
    """Strengths and probabilities of one view's augmentation; the ops come in the order of the fields.

    Attributes:
        view_size: side of the view, as a share of the run's image size.
        crop_min_scale: least share of the image's area in a random crop; 0: the centre instead.
        crop_max_scale: greatest share.
        crop_min_aspect: least width by height of a random crop.
        crop_max_aspect: greatest.
        centre_resize: for the centre: the shorter side is resized to this many times the view's side first. An
            image that has the view's size already is taken as it is.
        flip_p: probability of a horizontal flip.
        jitter_p: probability of the colour jitter.
        brightness, contrast, saturation, hue: its strengths, as torchvision's ColorJitter's.
        gray_p: probability of dropping colour.
        blur_p: probability of a Gaussian blur.
        blur_min_sigma: its least standard deviation, pixels.
        blur_max_sigma: its greatest.
        solarize_p: probability of inverting the bright levels.
        solarize_threshold: the level from which they are inverted.
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
        """Side of the view, pixels."""
        return max(1, round(self.view_size * image_size))

    @property
    def crops_at_random(self) -> bool:
        """Whether the view is a random crop, not the centre."""
        return self.crop_min_scale > 0


# blur_p: the paper gives no probability; 0.5 is that of the authors' release.
_SIMSIAM = Policy(crop_min_scale=0.2, flip_p=0.5, jitter_p=0.8, gray_p=0.2, blur_p=0.5)
_STRONG_JITTER = {"brightness": 0.8, "contrast": 0.8, "saturation": 0.8, "hue": 0.2}
_SIMCLR = dataclasses.replace(_SIMSIAM, crop_min_scale=0.08, **_STRONG_JITTER)
_BYOL = dataclasses.replace(_SIMSIAM, crop_min_scale=0.08, saturation=0.2)

# A name's policies, one for each view. Simsiam's is MoCo v2's too.
POLICIES: dict[str, tuple[Policy, Policy]] = {
    "simsiam": (_SIMSIAM, _SIMSIAM),  # Sec. 3
    "simsiam_cifar": (dataclasses.replace(_SIMSIAM, blur_p=0.0),) * 2,  # App. D
    "simclr": (_SIMCLR, _SIMCLR),  # SimCLR, App. A
    "byol": (  # BYOL, Table 6, but for its bicubic resizing: the paper compares methods on the same crops
        dataclasses.replace(_BYOL, blur_p=1.0),
        dataclasses.replace(_BYOL, blur_p=0.1, solarize_p=0.2),
    ),
    "swav": (dataclasses.replace(_SIMCLR, crop_min_scale=0.14),) * 2,  # SwAV, its two large views
    "linear_train": (Policy(crop_min_scale=0.08, flip_p=0.5),) * 2,  # App. A
    "linear_eval": (Policy(centre_resize=256 / 224),) * 2,  # 256, then the centre 224
    "none": (Policy(), Policy()),
}

# What every evaluation sees of an image.
EVALUATION_CROP = POLICIES["linear_eval"][0]


def resolve(config: AugmentConfig) -> tuple[Policy, ...]:
    """The policies of a run's views: its two, and the small ones if there are any, treated as view 1 and 2 in turn.

    Args:
        config: the name, and the figures that replace the named policies'.

    Raises:
        UsageError: if a figure is out of its range.
    """
    pair = [dataclasses.replace(p, **config.strengths(i)) for i, p in enumerate(POLICIES[config.augmentation])]
    scales = {"crop_min_scale": config.small_crop_min_scale, "crop_max_scale": config.small_crop_max_scale}
    small = [dataclasses.replace(p, view_size=config.small_view_size, **scales) for p in pair]
    return (*pair, *(small[i % 2] for i in range(config.small_views)))
