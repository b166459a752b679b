"""Recipes of augmentations, with the papers' figures, and how a batch becomes its views."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from simsiam_tf.augment import ops
from simsiam_tf.augment.threefry import fold_in, uniform, view_keys
from simsiam_tf.config.augment import AugmentConfig
from simsiam_tf.errors import check

Parameters = dict[str, tf.Tensor]


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

    def __post_init__(self):
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


def crop_draws(policy: Policy, keys: tf.Tensor) -> tf.Tensor:
    """The uniform numbers of each image's crop.

    Args:
        policy: of the view.
        keys: `[B, 2] uint32`, as from `view_keys`.

    Returns:
        `[B, n] float32`; n is 0 where nothing is random about the crop.
    """
    if not policy.crops_at_random:
        return tf.zeros([tf.shape(keys)[0], 0])
    return uniform(fold_in(keys, 0), ops.CROP_DRAWS)


def box(policy: Policy, draws: Sequence[float], height: int, width: int, image_size: int) -> ops.Box:
    """The part of an image that a view shows.

    Args:
        policy: of the view.
        draws: `[n]` of the image, as from `crop_draws`.
        height: of the image, pixels.
        width: likewise.
        image_size: of the run, pixels.

    Returns:
        Top, left, height, width, pixels.
    """
    if policy.crops_at_random:
        scale = policy.crop_min_scale, policy.crop_max_scale
        return ops.crop_box(draws, height, width, scale, (policy.crop_min_aspect, policy.crop_max_aspect))
    size = policy.side(image_size)
    whole = (height, width) == (size, size)
    resize_to = size if whole else round(size * policy.centre_resize)
    return ops.centre_box(height, width, min(height, width), size, resize_to)


def sample(policy: Policy, keys: tf.Tensor) -> Parameters:
    """What the policy does to each image besides the crop.

    Args:
        policy: of the view.
        keys: `[B, 2] uint32`, as from `view_keys`.

    Returns:
        Parameters of the ops that the policy has, `[B, ...]` each.
    """
    parameters = {}
    if policy.flip_p > 0:
        parameters["flip"] = ops.sample_flip(fold_in(keys, 4), policy.flip_p)
    if policy.jitter_p > 0:
        strengths = policy.brightness, policy.contrast, policy.saturation, policy.hue
        parameters["factors"], parameters["order"] = ops.sample_jitter(fold_in(keys, 1), policy.jitter_p, *strengths)
    if policy.gray_p > 0:
        parameters["gray"] = ops.sample_grayscale(fold_in(keys, 2), policy.gray_p)
    if policy.blur_p > 0:
        sigmas = policy.blur_min_sigma, policy.blur_max_sigma
        parameters["sigma"] = ops.sample_blur(fold_in(keys, 3), policy.blur_p, *sigmas)
    if policy.solarize_p > 0:
        parameters["solarize"] = ops.sample_solarize(fold_in(keys, 5), policy.solarize_p)
    return parameters


def apply(policy: Policy, images: tf.Tensor, parameters: Parameters, size: int) -> tf.Tensor:
    """Makes one view of each image.

    Args:
        policy: of the view.
        images: `[B, H, W, 3] uint8`; where `parameters` have no `box`, crops of the right size already.
        parameters: as from `sample`, and `box` as from `box`.
        size: side of the view, pixels.

    Returns:
        `[B, size, size, 3] float32`, normalised.
    """
    x, flip = images, parameters.get("flip")
    # Torchvision flips last; every op in between is the same on a mirrored image.
    if "box" in parameters:
        x = ops.apply_crop(x, parameters["box"], size, flip, bounded=policy.crops_at_random)
    elif flip is not None:
        x = ops.apply_flip(x, flip)
    if "factors" in parameters:
        x = ops.apply_jitter(x, parameters["factors"], parameters["order"])
    if "gray" in parameters:
        x = ops.apply_grayscale(x, parameters["gray"])
    if "sigma" in parameters:
        x = ops.apply_blur(x, parameters["sigma"], policy.blur_max_sigma)
    if "solarize" in parameters:
        x = ops.apply_solarize(x, parameters["solarize"], policy.solarize_threshold)
    return ops.normalize(x)


def sample_views(views: tuple[Policy, ...], seed: int, epoch: tf.Tensor, index: tf.Tensor) -> tuple[Parameters, ...]:
    """`sample` for each view of the images at `index` `[B]`."""
    return tuple(sample(policy, view_keys(seed, epoch, index, i)) for i, policy in enumerate(views))


def make_views(views: tuple[Policy, ...], image_size: int, batch: Mapping[str, Any]) -> dict[str, Any]:
    """All views of a batch at once, as an accelerator likes it.

    Args:
        views: a policy for each view.
        image_size: of the run, pixels.
        batch: `images`, a tuple: of one `[B, H, W, 3] uint8` where the views share the image, of one
            `[B, side, side, 3]` for each view where each has its crop already; `parameters`, for each view; and
            whatever else it holds.

    Returns:
        The batch with `views` instead of these two: `[B, side, side, 3] float32` each.
    """
    images, parameters = batch["images"], batch["parameters"]
    rest = {name: value for name, value in batch.items() if name not in ("images", "parameters")}
    images = images * len(views) if len(images) == 1 else images
    each = zip(views, images, parameters, strict=True)
    return {"views": tuple(apply(p, image, of_it, p.side(image_size)) for p, image, of_it in each), **rest}


def make_views_one_by_one(views: tuple[Policy, ...], image_size: int, batch: Mapping[str, Any]) -> dict[str, Any]:
    """`make_views` image by image, as a CPU likes it: each stays in the cache, and what it does not need is skipped."""
    images, parameters = batch["images"], batch["parameters"]
    rest = {name: value for name, value in batch.items() if name not in ("images", "parameters")}

    def one(element):
        single = tf.nest.map_structure(lambda x: x[tf.newaxis], element)
        return tuple(view[0] for view in make_views(views, image_size, single)["views"])

    made = tf.map_fn(one, {"images": images, "parameters": parameters}, fn_output_signature=(tf.float32,) * len(views))
    return {"views": made, **rest}
