"""Declares the settings of the random views."""

import dataclasses
import typing
from typing import Literal

from simsiam_tf.config.fields import SettingsGroup, option
from simsiam_tf.errors import check

# A number of the augmentation for both views, or one for each view. `None` stands for the number of the policy.
PerView = float | tuple[float, float] | None
_POLICY_S = "by default the policy's"
Augmentation = Literal["simsiam", "simsiam_cifar", "simclr", "byol", "swav", "linear_train", "linear_eval", "none"]
AUGMENTATIONS: tuple[Augmentation, ...] = typing.get_args(Augmentation)
AugmentOn = Literal["auto", "device", "host"]


@dataclasses.dataclass(frozen=True)
class AugmentConfig(SettingsGroup):
    """The random views."""

    augmentation: Augmentation = option(
        "simsiam",
        "Policy: 'simsiam' (Sec. 3; also MoCo v2), 'simsiam_cifar' (no blur; App. D), 'simclr', 'byol' (another for "
        "the second view), 'swav', 'linear_train' (crop and flip), 'linear_eval' (the centre), or 'none'. Each "
        "figure of it can be replaced, by a number or by two, as --blur_p=1.0,0.1, one for each view.",
    )
    crop_min_scale: PerView = option(None, f"Least share of the image in a random crop, 0: the centre; {_POLICY_S}.")
    crop_max_scale: PerView = option(None, "Greatest share of the image in a random crop; by default 1.")
    crop_min_aspect: PerView = option(None, "Least width by height of a random crop; by default 3/4.")
    crop_max_aspect: PerView = option(None, "Greatest width by height of a random crop; by default 4/3.")
    flip_p: PerView = option(None, f"Probability of a horizontal flip; {_POLICY_S}.")
    jitter_p: PerView = option(None, f"Probability of the colour jitter; {_POLICY_S}.")
    brightness: PerView = option(None, f"Strength of the brightness jitter; {_POLICY_S}.")
    contrast: PerView = option(None, f"Strength of the contrast jitter; {_POLICY_S}.")
    saturation: PerView = option(None, f"Strength of the saturation jitter; {_POLICY_S}.")
    hue: PerView = option(None, f"Strength of the hue jitter, in turns, up to 0.5; {_POLICY_S}.")
    gray_p: PerView = option(None, f"Probability of dropping colour; {_POLICY_S}.")
    blur_p: PerView = option(None, f"Probability of a Gaussian blur; {_POLICY_S}.")
    blur_min_sigma: PerView = option(None, "Least standard deviation of the blur, pixels; by default 0.1.")
    blur_max_sigma: PerView = option(None, "Greatest standard deviation of the blur, pixels; by default 2.")
    solarize_p: PerView = option(None, f"Probability of inverting the bright levels; {_POLICY_S}.")
    solarize_threshold: PerView = option(None, "The level, 0 to 255, from which --solarize_p inverts; by default 128.")
    small_views: int = option(0, "Small views of each image besides the two, for SwAV (its multi-crop: 6).")
    small_view_size: float = option(0.43, "Side of the small views, as a share of --image_size: 96 of 224.")
    small_crop_min_scale: float = option(0.05, "Least share of the image in a small view.")
    small_crop_max_scale: float = option(0.14, "Greatest share of the image in a small view.")
    augment_on: AugmentOn = option(
        "auto",
        "Where views are made of the images: on the 'device', in the training step, so that only uint8 images go "
        "there; on the 'host'; or 'auto': the device where it is a GPU or a TPU. Large images are decoded and "
        "cropped by the host always. Same views either way, to a level of 255.",
        identity=False,
    )

    def validate(self) -> None:
        """Checks the limits of the small views."""
        size = self.small_view_size
        check(0 < size <= 1, "--small_view_size must be above 0 and at most 1.", size)
        check(self.small_crop_min_scale > 0, "--small_crop_min_scale must be positive.", self.small_crop_min_scale)

    def strengths(self, view: int) -> dict[str, float]:
        """Returns the numbers that replace those of the policy in one view, by name.

        Args:
            view: the view, 0 or 1.
        """
        names = [field.name for field in dataclasses.fields(self) if field.default is None]
        given = {name: getattr(self, name) for name in names if getattr(self, name) is not None}
        return {name: value[view] if isinstance(value, tuple) else value for name, value in given.items()}
