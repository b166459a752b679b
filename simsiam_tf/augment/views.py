"""How a batch becomes its views: draws of their parameters, and the ops that use them."""

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from simsiam_tf.augment import ops
from simsiam_tf.augment.policies import Policy
from simsiam_tf.augment.threefry import fold_in, uniform, view_keys

Parameters = dict[str, tf.Tensor]


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

    def one(element: dict[str, Any]) -> tuple[tf.Tensor, ...]:
        single = tf.nest.map_structure(lambda x: x[tf.newaxis], element)
        return tuple(view[0] for view in make_views(views, image_size, single)["views"])

    made = tf.map_fn(one, {"images": images, "parameters": parameters}, fn_output_signature=(tf.float32,) * len(views))
    return {"views": made, **rest}
