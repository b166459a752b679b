"""Makes the views of a batch: draws their parameters, and applies the ops to the pixels."""

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from simsiam_tf.augment import ops
from simsiam_tf.augment.policies import Policy
from simsiam_tf.augment.threefry import fold_in, uniform, view_keys

# The parameters of the ops of one view, by name, `[B, ...]` each.
Parameters = dict[str, tf.Tensor]


def crop_draws(policy: Policy, keys: tf.Tensor) -> tf.Tensor:
    """Draws the uniform numbers that decide the crop of each image.

    Args:
        policy: the policy of the view.
        keys: `[B, 2] uint32`, as from `view_keys`.

    Returns:
        `[B, n] float32`; n is 0 if the crop is not random.
    """
    if not policy.crops_at_random:
        return tf.zeros([tf.shape(keys)[0], 0])
    return uniform(fold_in(keys, 0), ops.CROP_DRAWS)


def box(policy: Policy, draws: Sequence[float], height: int, width: int, image_size: int) -> ops.Box:
    """Computes the part of an image that a view shows.

    Args:
        policy: the policy of the view.
        draws: the uniform numbers of the image, `[n]`, as from `crop_draws`.
        height: the height of the image in pixels.
        width: the width of the image in pixels.
        image_size: the run's image size in pixels.

    Returns:
        Top, left, height and width of the part, in pixels of the image.
    """
    if policy.crops_at_random:
        scale = policy.crop_min_scale, policy.crop_max_scale
        return ops.crop_box(draws, height, width, scale, (policy.crop_min_aspect, policy.crop_max_aspect))
    size = policy.side(image_size)
    whole = (height, width) == (size, size)
    resize_to = size if whole else round(size * policy.centre_resize)
    return ops.centre_box(height, width, min(height, width), size, resize_to)


def boxes(
    policy: Policy, draws: tf.Tensor, height: tf.Tensor | int, width: tf.Tensor | int, image_size: int
) -> tf.Tensor:
    """Computes the boxes of `box` for a batch of images, as TensorFlow ops; not for use under XLA.

    Args:
        policy: the policy of the view.
        draws: the uniform numbers of each image, `[B, n]`, as from `crop_draws`.
        height: the height of the images in pixels, `[B]` or one for all.
        width: the width of the images in pixels, `[B]` or one for all.
        image_size: the run's image size in pixels.

    Returns:
        `[B, 4] float32`: top, left, height and width of the part, in pixels of the image.
    """
    if policy.crops_at_random:
        scale = policy.crop_min_scale, policy.crop_max_scale
        return ops.crop_boxes(draws, height, width, scale, (policy.crop_min_aspect, policy.crop_max_aspect))
    size = policy.side(image_size)
    height, width = (tf.broadcast_to(tf.cast(side, tf.int32), tf.shape(draws)[:1]) for side in (height, width))
    resize_to = tf.where((height == size) & (width == size), size, round(size * policy.centre_resize))
    parts = ops.centre_box(height, width, tf.minimum(height, width), size, resize_to)
    return tf.stack([tf.cast(part, tf.float32) for part in parts], axis=1)


def sample(policy: Policy, keys: tf.Tensor) -> Parameters:
    """Draws the parameters of all ops of a policy except the crop.

    Args:
        policy: the policy of the view.
        keys: `[B, 2] uint32`, as from `view_keys`.

    Returns:
        The parameters, `[B, ...]` each. Ops that have probability 0 in the policy have none.
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
        policy: the policy of the view.
        images: `[B, H, W, 3] uint8`. If `parameters` holds no `box`, they are crops of the view's size already.
        parameters: the result of `sample`, and optionally `box`, `[B, 4]`, the result of `box` for each image.
        size: the side of the view in pixels.

    Returns:
        `[B, size, size, 3] float32`, normalised.
    """
    x, flip = images, parameters.get("flip")
    # Torchvision flips last. A flip right after the crop gives the same view, as the ops in between commute with it.
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
    """Draws the parameters of each view of a batch, except those of the crop.

    Args:
        views: a policy for each view.
        seed: the seed of the run.
        epoch: the epoch, a scalar, counted from 0.
        index: the positions of the images in the data set, `[B]`.

    Returns:
        The result of `sample` for each view.
    """
    return tuple(sample(policy, view_keys(seed, epoch, index, i)) for i, policy in enumerate(views))


def make_views(views: tuple[Policy, ...], image_size: int, batch: Mapping[str, Any]) -> dict[str, Any]:
    """Makes all views of a batch, for the whole batch at once. This is the fast way on an accelerator.

    Args:
        views: a policy for each view.
        image_size: the run's image size in pixels.
        batch: a mapping with `images` and `parameters`, which may hold more. `images` is a tuple: either one
            `[B, H, W, 3] uint8` that all views share, or one `[B, side, side, 3] uint8` of finished crops for each
            view. `parameters` holds the parameters of each view, as `apply` takes them.

    Returns:
        The batch with `views` in place of `images` and `parameters`: `[B, side, side, 3] float32` for each view.
    """
    images, parameters = batch["images"], batch["parameters"]
    rest = {name: value for name, value in batch.items() if name not in ("images", "parameters")}
    images = images * len(views) if len(images) == 1 else images
    each = zip(views, images, parameters, strict=True)
    return {"views": tuple(apply(p, image, of_it, p.side(image_size)) for p, image, of_it in each), **rest}


def make_views_one_by_one(views: tuple[Policy, ...], image_size: int, batch: Mapping[str, Any]) -> dict[str, Any]:
    """Makes all views of a batch, image by image. This is the fast way on a CPU.

    Each image stays in the cache, and skips the ops that it does not need. Arguments and result are those of
    `make_views`.
    """
    images, parameters = batch["images"], batch["parameters"]
    rest = {name: value for name, value in batch.items() if name not in ("images", "parameters")}

    def one(element: dict[str, Any]) -> tuple[tf.Tensor, ...]:
        single = tf.nest.map_structure(lambda x: x[tf.newaxis], element)
        return tuple(view[0] for view in make_views(views, image_size, single)["views"])

    made = tf.map_fn(one, {"images": images, "parameters": parameters}, fn_output_signature=(tf.float32,) * len(views))
    return {"views": made, **rest}
