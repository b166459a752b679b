"""Declares the settings of the random views."""

import dataclasses
import typing
from typing import Literal

from simsiam_tf.config.fields import SettingsGroup, option
from simsiam_tf.errors import check

# A number of the augmentation for both views, or one for each view. `None` stands for the number of the policy.
PerView = float | tuple[float, float] | None
_POLICY_S = "by default that of the policy"
Augmentation = Literal["simsiam", "simsiam_cifar", "simclr", "byol", "swav", "linear_train", "linear_eval", "none"]
AUGMENTATIONS: tuple[Augmentation, ...] = typing.get_args(Augmentation)
AugmentOn = Literal["auto", "device", "host"]
CropOn = Literal["auto", "device", "host"]


@dataclasses.dataclass(frozen=True)
class AugmentConfig(SettingsGroup):
    """Augmentation."""

    augmentation: Augmentation = option(
        "simsiam",
        "Policy of the views: 'simsiam' (Sec. 3; also for MoCo v2), 'simsiam_cifar' (without blur; App. D), 'simclr', "
        "'byol' (another policy for each view), 'swav', 'linear_train' (crop and flip), 'linear_eval' (the centre), "
        "or 'none'. Flags such as --blur_p replace a number of the policy. They take one number for both views, or one "
        "for each view, as in --blur_p=1.0,0.1.",
    )
    crop_min_scale: PerView = option(
        None, f"Smallest fraction of the image's area in a random crop, or 0 for the centre; {_POLICY_S}."
    )
    crop_max_scale: PerView = option(None, "Largest fraction of the image's area in a random crop; by default 1.")
    crop_min_aspect: PerView = option(None, "Smallest ratio of width to height of a random crop; by default 3/4.")
    crop_max_aspect: PerView = option(None, "Largest ratio of width to height of a random crop; by default 4/3.")
    flip_p: PerView = option(None, f"Probability of a horizontal flip; {_POLICY_S}.")
    jitter_p: PerView = option(None, f"Probability of the colour jitter; {_POLICY_S}.")
    brightness: PerView = option(None, f"Strength of the brightness jitter; {_POLICY_S}.")
    contrast: PerView = option(None, f"Strength of the contrast jitter; {_POLICY_S}.")
    saturation: PerView = option(None, f"Strength of the saturation jitter; {_POLICY_S}.")
    hue: PerView = option(None, f"Strength of the hue jitter, in turns of the colour circle, up to 0.5; {_POLICY_S}.")
    gray_p: PerView = option(None, f"Probability of making the view grey; {_POLICY_S}.")
    blur_p: PerView = option(None, f"Probability of a Gaussian blur; {_POLICY_S}.")
    blur_min_sigma: PerView = option(None, "Smallest standard deviation of the blur, in pixels; by default 0.1.")
    blur_max_sigma: PerView = option(None, "Largest standard deviation of the blur, in pixels; by default 2.")
    solarize_p: PerView = option(None, f"Probability of solarization, which inverts bright levels; {_POLICY_S}.")
    solarize_threshold: PerView = option(None, "Lowest level (0 to 255) that solarization inverts; by default 128.")
    small_views: int = option(
        0, "Number of small views of each image besides the two large ones, for SwAV (6 in its multi-crop)."
    )
    small_view_size: float = option(
        0.43, "Side of the small views, as a fraction of --image_size; 0.43 gives 96 of 224."
    )
    small_crop_min_scale: float = option(0.05, "Smallest fraction of the image's area in a small view.")
    small_crop_max_scale: float = option(0.14, "Largest fraction of the image's area in a small view.")
    augment_on: AugmentOn = option(
        "auto",
        "Place where views are made: the 'device', in the training step, so that only uint8 images are sent there; the "
        "'host'; or 'auto': on the device if it is a GPU or a TPU, else on the host. Images are always decoded on the "
        "host. The views are the same in both places, to within one level of 255.",
        identity=False,
    )
    crop_on: CropOn = option(
        "auto",
        "Place where images that are read one by one are cropped: the 'device', in the training step; the 'host'; or "
        "'auto': where the views are made. Images that are more than twice as large as a view are always cropped on "
        "the host. The views are the same in both places, to within one level of 255.",
        identity=False,
        absent="host",
    )

    def validate(self) -> None:
        """Checks the limits of the small views."""
        size = self.small_view_size
        check(0 < size <= 1, "--small_view_size must be above 0 and at most 1.", size)
        check(
            self.crop_on != "device" or self.augment_on != "host",
            "--crop_on=device crops where the views are made, so it needs --augment_on=device or auto.",
            "--augment_on=host",
        )
        check(self.small_crop_min_scale > 0, "--small_crop_min_scale must be positive.", self.small_crop_min_scale)

    def strengths(self, view: int) -> dict[str, float]:
        """Returns the numbers that replace those of the policy in one view, by name.

        Args:
            view: the view, 0 or 1.
        """
        names = [field.name for field in dataclasses.fields(self) if field.default is None]
        given = {name: getattr(self, name) for name in names if getattr(self, name) is not None}
        return {name: value[view] if isinstance(value, tuple) else value for name, value in given.items()}
