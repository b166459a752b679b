"""The order and the crops that machines without TensorFlow compute: the same as train.py's, to the bit."""

import dataclasses
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from simsiam_tf.augment import views as augment_views
from simsiam_tf.augment.policies import POLICIES, Policy
from simsiam_tf.augment.threefry import threefry, view_keys
from simsiam_tf.data.order import ShuffledOrder
from simsiam_tf.data.pipeline import pretraining_dataset
from simsiam_tf.data.sources import memory_source
from simsiam_tf.distribute.input import Share
from tests.conftest import ROOT

sys.path.insert(0, str(ROOT / "benchmarks"))
import plan


def plan_of(views, order):
    return plan.Plan(
        num_examples=order.num_examples,
        batch_size=order.global_batch_size,
        seed=order.seed,
        height=32,
        width=32,
        image_size=32,
        views=[dataclasses.asdict(policy) for policy in views],
    )


@pytest.mark.parametrize(
    ("images", "seed"), [(1, 0), (60, 5), (300, 1), (50_000, 0), (50_000, 2**31 - 1), (200_000, 3)]
)
def test_the_order_is_train_py_s(images, seed):
    for epoch in (0, 1, 799):
        positions = np.unique(np.linspace(0, images - 1, 1000).astype(np.int64))
        expected = tf.random.experimental.index_shuffle(
            positions, tf.constant([seed, epoch], tf.uint32), tf.constant(images - 1, tf.int64)
        )
        np.testing.assert_array_equal(plan.index_shuffle(positions, seed, epoch, images - 1), expected)


def test_an_order_holds_every_image_once():
    np.testing.assert_array_equal(np.sort(plan.index_shuffle(np.arange(70_000), 9, 4, 69_999)), np.arange(70_000))


def test_the_random_words_are_train_py_s(rng):
    words = rng.integers(0, 2**32, (4, 1000), np.uint32)
    np.testing.assert_array_equal(plan.threefry(*words), threefry(*map(tf.constant, words)))


@pytest.mark.parametrize("name", ["simsiam", "simsiam_cifar", "byol"])
def test_the_draws_of_crops_are_train_py_s(name, rng):
    index = rng.integers(0, 50_000, 500)
    for view, policy in enumerate(POLICIES[name]):
        for seed, epoch in ((0, 0), (7, 3), (2**31 - 1, 799)):
            keys = view_keys(seed, tf.constant(epoch, tf.int64), tf.constant(index), view)
            np.testing.assert_array_equal(
                plan.crop_draws(seed, epoch, index, view), augment_views.crop_draws(policy, keys)
            )


@pytest.mark.parametrize(("height", "width"), [(32, 32), (256, 256), (500, 333), (7, 90)])
def test_boxes_are_train_py_s(height, width, rng):
    draws = rng.random((4000, 22), np.float32)
    for name in ("simsiam", "simsiam_cifar", "simclr"):
        policy = POLICIES[name][0]
        expected = augment_views.boxes(policy, tf.constant(draws), height, width, 32)
        np.testing.assert_array_equal(plan.crop_boxes(draws, height, width, dataclasses.asdict(policy)), expected)
    for policy in (Policy(), Policy(centre_resize=256 / 224), Policy(view_size=0.5)):
        expected = augment_views.boxes(policy, tf.zeros([1, 0]), height, width, 32)[0]
        np.testing.assert_array_equal(plan.centre_box(height, width, 32, dataclasses.asdict(policy)), expected)


@pytest.mark.parametrize("augmentation", ["simsiam", "simsiam_cifar", "none"])
def test_a_step_takes_what_train_py_s_step_takes(augmentation):
    views = POLICIES[augmentation]
    for seed, number in ((0, 0), (11, 97 * 3 + 96), (2**31 - 1, 97 * 199)):
        order = ShuffledOrder(50_000, 512, seed)
        epoch, index, boxes = plan_of(views, order).step(number)
        positions = tf.range(512 * number, 512 * (number + 1), dtype=tf.int64)
        expected_epoch, expected = order.examples(positions)
        assert epoch == expected_epoch == number // 97
        np.testing.assert_array_equal(index, expected)
        for i, policy in enumerate(views):
            draws = augment_views.crop_draws(policy, view_keys(seed, expected_epoch, expected, i))
            np.testing.assert_array_equal(boxes[:, i], augment_views.boxes(policy, draws, 32, 32, 32))


@pytest.mark.slow
def test_steps_are_the_batches_of_train_py_s_data_set(rng):
    """Over the end of an epoch; train.py compiles what draws."""
    views, order = POLICIES["simsiam_cifar"], ShuffledOrder(70, 16, 5)
    source = memory_source("few", rng.integers(0, 256, (70, 32, 32, 3), np.uint8), None)
    batches = pretraining_dataset(source, order, views, 32, Share(16), start_step=2, stop_step=6)
    for batch, (_, index, boxes) in zip(batches, plan_of(views, order).steps(2, 6), strict=True):
        np.testing.assert_array_equal(index, batch["index"])
        np.testing.assert_array_equal(boxes, np.stack([p["box"] for p in batch["parameters"]], axis=1))


def test_it_needs_neither_tensorflow_nor_the_package():
    code = "import sys, plan; sys.exit(bool({'tensorflow', 'simsiam_tf', 'jax'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT / "benchmarks", check=False).returncode == 0
