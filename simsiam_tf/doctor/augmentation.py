"""Checks the views of images: their pixels against stored ones, and that views and epochs differ."""

import dataclasses
import functools
import pathlib

import numpy as np
import tensorflow as tf

from simsiam_tf.augment import ops
from simsiam_tf.augment import views as augment_views
from simsiam_tf.augment.policies import POLICIES, Policy
from simsiam_tf.data.order import ShuffledOrder
from simsiam_tf.data.pipeline import pretraining_dataset, views_of
from simsiam_tf.data.sources import Source, memory_source
from simsiam_tf.distribute.input import Share
from simsiam_tf.doctor.checks import Asked, Outcome
from simsiam_tf.training import factory

_POLICY, _SIZE, _SEED, _EPOCH = "byol", 24, 3, 5
_IMAGES, _SIDE = 6, 40
# The greatest difference of a pixel, in levels of 255: the stored ones are rounded, and XLA rounds in another order.
TOLERANCE = 1.5
# Two views of an image are the same if no pixel differs by as much, in levels of 255.
_SAME = 0.5


def pixels(asked: Asked) -> Outcome:
    """Compares the views of some images with stored pixels, as the host makes them and as the device makes them.

    Args:
        asked: not used: the same views are made for every run.
    """
    stored = np.load(pathlib.Path(__file__).parent / "golden.npz")["views"]
    host, device = made_on_host(), made_on_device()
    of_host, of_device = (float(np.max(np.abs(made - stored))) for made in (host, device))
    value = f"{stored.shape[0] * stored.shape[1]} views equal the stored ones to {of_host:.2g} levels of 255"
    value += f" on the host, {of_device:.2g} on the device"
    if max(of_host, of_device) <= TOLERANCE:
        return Outcome("pass", value)
    where = "host" if of_host > TOLERANCE else "device"
    other = "device" if where == "host" else "host"
    advice = f"the {where} draws other random numbers or computes other colours; train with --augment_on={other}"
    if min(of_host, of_device) > TOLERANCE:
        advice = "views are not those of this package; compare its files with those that were installed"
    return Outcome("fail", f"{value}; at most {TOLERANCE:g} is allowed", advice)


def views(asked: Asked) -> Outcome:
    """Checks that the two views of an image differ, that epochs differ, and that the same epoch is the same again.

    Args:
        asked: what is asked, of which the augmentation of the run counts; by default that of the paper.
    """
    chosen, name = (POLICIES["simsiam"], "simsiam")
    if asked.config is not None:
        chosen, name = factory.view_policies(asked.config), asked.config.augment.augmentation
    return judge(chosen, f"--augmentation={name}")


def judge(policies: tuple[Policy, ...], what: str) -> Outcome:
    """Judges the views of some images.

    Args:
        policies: a policy for each view.
        what: the augmentation, as a phrase.
    """
    source, index = _source(), range(_IMAGES)
    first, again, later = (views_of(source, policies, _SIZE, _SEED, epoch, index) for epoch in (0, 0, 1))
    if any(np.any(a != b) for a, b in zip(first, again, strict=True)):
        advice = "no run can be repeated or resumed here; look for faulty memory"
        return Outcome("fail", f"{what}: the same image, epoch and seed gave two different views", advice)
    twins, repeated = _equal(first[0], first[1]), _equal(first[0], later[0])
    value = f"{what}: of {_IMAGES} images, {twins} have two equal views, and {repeated} the same view in two epochs"
    if not twins and not repeated:
        return Outcome("pass", f"{what}: views and epochs differ, and repeat exactly")
    advice = "without different views there is nothing to learn; choose another --augmentation, or wider crops"
    return Outcome("fail" if 2 * twins > _IMAGES else "warn", value, advice)


def _equal(ones: tf.Tensor, others: tf.Tensor) -> int:
    """Counts the images whose views, `[n, side, side, 3]` each, are equal."""
    levels = np.max(np.abs(_levels(ones) - _levels(others)), axis=(1, 2, 3))
    return int(np.sum(levels < _SAME))


def _levels(normalized: tf.Tensor) -> np.ndarray:
    """Returns normalised images as levels, 0 to 255."""
    return (np.asarray(normalized, np.float64) * ops.IMAGENET_STD + ops.IMAGENET_MEAN) * 255


def _policies() -> tuple[Policy, ...]:
    """Returns the policies of the stored views. Each op is in some of them, and not in others."""
    return tuple(dataclasses.replace(p, blur_p=0.5, solarize_p=0.5) for p in POLICIES[_POLICY])


def _source() -> Source:
    """Returns images of coarse patches and noise, from random numbers that NumPy does not change."""
    rng = np.random.RandomState(_SEED)
    patches = rng.randint(0, 200, (_IMAGES, 5, 5, 3)).repeat(_SIDE // 5, 1).repeat(_SIDE // 5, 2)
    return memory_source("doctor", (patches + rng.randint(0, 56, patches.shape)).astype(np.uint8), None)


def made_on_host() -> np.ndarray:
    """Returns the views of the stored pixels as the host makes them, `[2, n, side, side, 3]` in levels."""
    return np.stack([_levels(view) for view in views_of(_source(), _policies(), _SIZE, _SEED, _EPOCH, range(_IMAGES))])


def made_on_device() -> np.ndarray:
    """Returns the same views as the device makes them."""
    order, share = ShuffledOrder(_IMAGES, _IMAGES, _SEED), Share(_IMAGES)
    batches = pretraining_dataset(_source(), order, _policies(), _SIZE, share, start_step=_EPOCH)
    batch = next(iter(batches))
    made = tf.function(functools.partial(augment_views.make_views, _policies(), _SIZE), autograph=False)(batch)
    positions = np.argsort(batch["index"].numpy())
    return np.stack([_levels(view)[positions] for view in made["views"]])
