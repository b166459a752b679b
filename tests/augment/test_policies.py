import dataclasses
import functools

import numpy as np
import pytest
import tensorflow as tf

from simsiam_tf.augment import ops, policies
from simsiam_tf.augment import views as augment_views
from simsiam_tf.augment.policies import POLICIES
from simsiam_tf.augment.threefry import view_keys
from simsiam_tf.config.augment import AUGMENTATIONS, AugmentConfig
from simsiam_tf.errors import UsageError

LEVEL = 1 / (255 * min(ops.IMAGENET_STD))  # one level of 255, in normalised pixels
# Every op, each in some images and not in others.
EVERYTHING = dataclasses.replace(POLICIES["byol"][0], blur_p=0.5, solarize_p=0.5)


def made_batch(views, images, size, epoch=1):
    index = tf.range(len(images))
    parameters = augment_views.sample_views(views, 5, tf.constant(epoch), index)
    for i, (policy, values) in enumerate(zip(views, parameters, strict=True)):
        draws = augment_views.crop_draws(policy, view_keys(5, tf.constant(epoch), index, i)).numpy()
        boxes = [augment_views.box(policy, d, *images.shape[1:3], size) for d in draws.tolist()]
        values["box"] = tf.constant(boxes, tf.float32)
    return {"images": (tf.constant(images),), "parameters": parameters, "index": index}


@pytest.mark.slow
@pytest.mark.host_xla
@pytest.mark.parametrize("name", [*AUGMENTATIONS, "everything"])
def test_eager_host_and_xla_all_at_once_or_one_by_one_make_the_same_views(rng, name):
    views = POLICIES.get(name, (EVERYTHING, EVERYTHING))
    batch = made_batch(views, rng.integers(0, 256, (8, 20, 24, 3), np.uint8), 16)
    at_once, one_by_one = (
        functools.partial(make, views, 16) for make in (augment_views.make_views, augment_views.make_views_one_by_one)
    )
    eager = at_once(batch)
    np.testing.assert_array_equal(eager["index"], np.arange(8))
    others = [
        tf.function(at_once)(batch),
        tf.function(at_once, jit_compile=True)(batch),
        tf.function(one_by_one, jit_compile=True)(batch),
        next(iter(tf.data.Dataset.from_tensors(batch).map(one_by_one))),
    ]
    for other in others:
        for x, y in zip(other["views"], eager["views"], strict=True):
            assert x.shape == (8, 16, 16, 3)
            np.testing.assert_allclose(x, y, atol=LEVEL)


@pytest.mark.slow
@pytest.mark.host_xla
def test_parameters_are_the_same_eager_in_tf_data_and_under_xla():
    views, index = (EVERYTHING, EVERYTHING), tf.range(4096)
    draw = functools.partial(augment_views.sample_views, views, 5)
    eager = draw(tf.constant(1), index)
    in_data = next(iter(tf.data.Dataset.from_tensors((1, index)).map(draw)))
    for other in (tf.function(draw, jit_compile=True)(tf.constant(1), index), in_data):
        tf.nest.map_structure(np.testing.assert_array_equal, other, eager)


def test_two_epochs_and_two_views_differ_and_one_is_repeated(rng):
    views = POLICIES["simsiam"]
    images = rng.integers(0, 256, (8, 20, 24, 3), np.uint8)
    first, again, later = (made_batch(views, images, 16, epoch)["parameters"] for epoch in (0, 0, 1))
    tf.nest.map_structure(np.testing.assert_array_equal, first, again)
    assert np.any(first[0]["box"] != first[1]["box"], axis=1).all()
    assert np.any(first[0]["box"] != later[0]["box"], axis=1).all()


def test_byol_treats_its_views_differently():
    first, second = augment_views.sample_views(POLICIES["byol"], 0, tf.constant(0), tf.range(2000))
    assert "solarize" not in first
    assert second["solarize"].numpy().mean() == pytest.approx(0.2, abs=0.03)
    assert (first["sigma"].numpy() > 0).all()
    assert (second["sigma"].numpy() > 0).mean() == pytest.approx(0.1, abs=0.03)


def test_every_policy_has_its_name_and_every_figure_its_flag():
    assert set(AUGMENTATIONS) == set(POLICIES)
    figures = {field.name for field in dataclasses.fields(policies.Policy)} - {"centre_resize", "view_size"}
    assert {field.name for field in dataclasses.fields(AugmentConfig) if field.default is None} == figures


def test_a_figure_is_replaced_in_both_views_or_in_each():
    one, two = policies.resolve(AugmentConfig(augmentation="byol", gray_p=0.7, blur_p=(0.3, 0.4)))
    assert (one.gray_p, two.gray_p, one.blur_p, two.blur_p) == (0.7, 0.7, 0.3, 0.4)
    assert (one.solarize_p, two.solarize_p) == (0.0, 0.2)


def test_small_views_are_treated_as_the_two_in_turn():
    views = policies.resolve(AugmentConfig(augmentation="byol", small_views=3))
    assert [view.side(224) for view in views] == [224, 224, 96, 96, 96]
    assert [view.blur_p for view in views] == [1.0, 0.1, 1.0, 0.1, 1.0]
    assert {(view.crop_min_scale, view.crop_max_scale) for view in views[2:]} == {(0.05, 0.14)}


@pytest.mark.parametrize(
    ("figures", "message"),
    [
        ({"flip_p": 1.5}, r"--flip_p must be at most 1. Received: 1.5"),
        ({"hue": (0.1, 0.6)}, r"--hue must be at most 0.5. Received: 0.6"),
        ({"crop_min_scale": 0.5, "crop_max_scale": 0.4}, "--crop_min_scale must not exceed --crop_max_scale, 0.4"),
        ({"blur_min_sigma": 3.0}, "--blur_min_sigma must not exceed --blur_max_sigma, 2. Received: 3"),
        ({"crop_min_aspect": 0.0}, "--crop_min_aspect must be positive"),
        ({"small_view_size": 1.5}, "--small_view_size must be above 0 and at most 1. Received: 1.5"),
    ],
)
def test_impossible_figures_are_refused(figures, message):
    with pytest.raises(UsageError, match=message):
        policies.resolve(AugmentConfig(**figures))


def test_the_centre_of_an_image_of_the_view_s_size_is_the_image():
    for policy in (POLICIES["linear_eval"][0], POLICIES["none"][0]):
        assert augment_views.box(policy, [], 32, 32, 32) == (0, 0, 32, 32)
    assert augment_views.box(POLICIES["linear_eval"][0], [], 256, 320, 224) == (16, 48, 224, 224)
    assert augment_views.box(POLICIES["none"][0], [], 256, 320, 224) == pytest.approx((0, 32, 256, 256), abs=0.3)


@pytest.mark.parametrize("name", ["linear_eval", "none", "simsiam"])
def test_boxes_of_a_batch_are_those_of_its_images(name):
    policy = POLICIES[name][0]
    draws = augment_views.crop_draws(policy, view_keys(0, tf.constant(0), tf.range(6), 0))
    heights, widths = np.array([32, 256, 375, 101, 224, 8]), np.array([32, 320, 500, 67, 224, 300])
    for size in (32, 224, 97):
        found = augment_views.boxes(policy, draws, tf.constant(heights), tf.constant(widths), size)
        each = zip(draws.numpy().tolist(), heights.tolist(), widths.tolist(), strict=True)
        expected = [augment_views.box(policy, d, h, w, size) for d, h, w in each]
        np.testing.assert_array_equal(found, np.array(expected, np.float32))
