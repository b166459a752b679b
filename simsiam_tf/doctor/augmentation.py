"""Checks the views of images: their pixels against stored ones, and that views and epochs differ.

`golden.npz` has the stored pixels. The host makes its views as it does for the recipe shapes_demo, batch and all, so
that what is compiled here serves the check of that recipe too.
"""

import dataclasses
import functools
import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from simsiam_tf.augment import ops
from simsiam_tf.augment import views as augment_views
from simsiam_tf.augment.policies import POLICIES, Policy
from simsiam_tf.augment.threefry import view_keys
from simsiam_tf.data.pipeline import views_of
from simsiam_tf.data.sources import Source, memory_source
from simsiam_tf.distribute.strategy import ONE_DEVICE, has_accelerator
from simsiam_tf.distribute.xla import compiled
from simsiam_tf.doctor import demo
from simsiam_tf.doctor.checks import Asked, Outcome
from simsiam_tf.doctor.opened import images_of, read_at_once, started, strategy_of
from simsiam_tf.training import factory

_DEMO = demo.config("none")
_EPOCH = 5
# The images whose views on the host are stored, of the batch; and those whose views on the device are.
_STORED, _ON_DEVICE = 6, 6
_DEVICE_SIDE, _DEVICE_SIZE = 40, 24
# The greatest difference of a pixel, in levels of 255: the stored ones are rounded, and XLA rounds in another order.
TOLERANCE = 1.5
# Two views of an image are the same if no pixel differs by as much, in levels of 255.
_SAME = 0.5


def pixels(asked: Asked) -> Outcome:
    """Compares views of some images with stored ones: those that the host makes, and those that the device makes.

    Args:
        asked: not used: the same views are made for every run.
    """
    with np.load(pathlib.Path(__file__).parent / "golden.npz") as stored:
        of_host, of_device = (
            float(np.max(np.abs(made - stored[name])))
            for name, made in (("host", made_on_host()), ("device", made_on_device()))
        )
    value = f"at most {of_host:.2g} levels of 255 from the stored ones on the host, {of_device:.2g} on the device"
    if max(of_host, of_device) <= TOLERANCE:
        return Outcome("pass", value)
    advice = "views are not those of this package; compare its files with those that were installed"
    if has_accelerator(ONE_DEVICE) and min(of_host, of_device) <= TOLERANCE:
        where, other = ("host", "device") if of_host > TOLERANCE else ("device", "host")
        advice = f"the {where} draws other random numbers or computes other colours; train with --augment_on={other}"
    return Outcome("fail", f"{value}; {TOLERANCE:g} is allowed", advice)


def views(asked: Asked) -> Outcome:
    """Checks that the two views of an image differ, that epochs differ, and that the same epoch is the same again.

    Args:
        asked: not used: the views are those of the recipe shapes_demo.
    """
    policies, size, count = factory.view_policies(_DEMO), _DEMO.data.image_size, _DEMO.data.global_batch_size
    return judge(_source(), policies, size, _DEMO.run.seed, count)


def views_of_run(asked: Asked) -> Outcome:
    """Checks the same of the images and the augmentation of a run.

    Args:
        asked: what is asked, of which the settings of the run count.
    """
    config = started(asked.run)
    source = images_of(config).source
    count = min(source.num_examples, read_at_once(config, strategy_of(config).num_replicas_in_sync))
    return judge(source, factory.view_policies(config), config.data.image_size, config.run.seed, count)


def judge(source: Source, policies: tuple[Policy, ...], size: int, seed: int, count: int) -> Outcome:
    """Judges the views of the first images of a source.

    Args:
        source: the images.
        policies: a policy for each view.
        size: the image size of the run in pixels.
        seed: the seed of the run.
        count: the number of images.
    """
    first, again, later = (views_of(source, policies, size, seed, epoch, range(count)) for epoch in (0, 0, 1))
    if any(np.any(a != b) for a, b in zip(first, again, strict=True)):
        advice = "no run can be repeated or resumed here; look for faulty memory"
        return Outcome("fail", "the same image, epoch and seed gave two different views", advice)
    twins, repeated = _equal(first[0], first[1]), _equal(first[0], later[0])
    if not twins and not repeated:
        return Outcome("pass", f"of {count} images, views and epochs differ, and repeat exactly")
    value = f"of {count} images, {twins} have two equal views, and {repeated} the same view in two epochs"
    advice = "without different views there is nothing to learn; look at the images, or choose another --augmentation"
    return Outcome("fail" if 2 * max(twins, repeated) > count else "warn", value, advice)


def _equal(ones: tf.Tensor, others: tf.Tensor) -> int:
    """Counts the images whose views, `[n, side, side, 3]` each, are equal."""
    levels = np.max(np.abs(_levels(ones) - _levels(others)), axis=(1, 2, 3))
    return int(np.sum(levels < _SAME))


def _levels(normalized: tf.Tensor) -> np.ndarray:
    """Returns normalised images as levels, 0 to 255."""
    return (np.asarray(normalized, np.float64) * ops.IMAGENET_STD + ops.IMAGENET_MEAN) * 255


def _source() -> Source:
    """Returns images as large and as many as a batch of shapes_demo, from random numbers that NumPy does not change."""
    return memory_source("doctor", _images(_DEMO.data.global_batch_size, _DEMO.data.image_size), None)


def _images(count: int, side: int) -> np.ndarray:
    """Returns images of coarse patches and noise, `[count, side, side, 3] uint8`."""
    rng = np.random.RandomState(side)
    patches = rng.randint(0, 200, (count, side // 8, side // 8, 3)).repeat(8, 1).repeat(8, 2)
    return (patches + rng.randint(0, 56, patches.shape)).astype(np.uint8)


def made_on_host() -> np.ndarray:
    """Returns views as the host makes them, by XLA where it can: `[2, n, side, side, 3]` in levels."""
    policies, index = factory.view_policies(_DEMO), range(_DEMO.data.global_batch_size)
    made = views_of(_source(), policies, _DEMO.data.image_size, _DEMO.run.seed, _EPOCH, index)
    return np.stack([_levels(view)[:_STORED] for view in made])


def made_on_device() -> np.ndarray:
    """Returns other views as the device makes them, `[2, n, side, side, 3]` in levels. All ops are in some of them."""
    policies = tuple(dataclasses.replace(policy, blur_p=0.5, solarize_p=0.5) for policy in POLICIES["byol"])
    images, epoch, index = _images(_ON_DEVICE, _DEVICE_SIDE), tf.constant(_EPOCH), tf.range(_ON_DEVICE)
    parameters = augment_views.sample_views(policies, 0, epoch, index)
    for i, (policy, values) in enumerate(zip(policies, parameters, strict=True)):
        draws = augment_views.crop_draws(policy, view_keys(0, epoch, index, i))
        values["box"] = augment_views.boxes(policy, draws, _DEVICE_SIDE, _DEVICE_SIDE, _DEVICE_SIZE)
    make: Callable[..., Any] = functools.partial(augment_views.make_views, policies, _DEVICE_SIZE)
    if has_accelerator(ONE_DEVICE):
        make = compiled(ONE_DEVICE, make)
    made = make({"images": (tf.constant(images),), "parameters": parameters})
    return np.stack([_levels(view) for view in made["views"]])
