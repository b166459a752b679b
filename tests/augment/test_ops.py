import colorsys

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageOps

from simsiam_tf.augment import ops
from simsiam_tf.augment.threefry import uniform, view_keys

N = 20000


@pytest.fixture(scope="module")
def keys():
    return view_keys(1, tf.constant(0), tf.range(N), 0)


def test_crop_sampling_follows_torchvision_s_definition(keys):
    height, width = 300, 400
    top, left, h, w = ops.sample_crop(keys, height, width, (0.2, 1.0)).numpy().T
    area = h * w / (height * width)
    # On a 4:3 image, boxes of large area and tall aspect are rejected, so the area is not quite uniform.
    assert area.min() == pytest.approx(0.2, abs=0.01)
    assert area.max() <= 1
    small = area < 0.5  # where nothing is rejected, it is
    np.testing.assert_allclose(np.histogram(area[small], 3, (0.2, 0.5))[0] / small.sum(), 1 / 3, atol=0.02)
    log_aspect = np.log(w[small] / h[small])
    assert np.abs(log_aspect).max() < np.log(4 / 3) + 0.02
    np.testing.assert_allclose(np.histogram(log_aspect, 4, (-0.2876, 0.2876))[0] / small.sum(), 1 / 4, atol=0.02)
    assert np.all((top >= 0) & (top + h <= height) & (left >= 0) & (left + w <= width))
    down, across = (top / np.maximum(height - h, 1))[small], (left / np.maximum(width - w, 1))[small]
    for slack in (down, across):
        np.testing.assert_allclose(np.histogram(slack, 4, (0, 1))[0] / small.sum(), 1 / 4, atol=0.02)
    assert abs(np.corrcoef(down, across)[0, 1]) < 0.02
    assert all(np.all(side == np.rint(side)) for side in (top, left, h, w))


@pytest.mark.parametrize("count", [20_000, pytest.param(1_000_000, marks=pytest.mark.slow)])
def test_boxes_of_python_and_of_tensorflow_are_equal_to_the_bit(rng, count):
    draws = uniform(view_keys(3, tf.constant(5), tf.range(count), 1), ops.CROP_DRAWS)
    sizes = rng.integers(1, 4000, (count, 2))
    sizes[: count // 2] = 375, 500
    for scale, aspect in (((0.2, 1.0), (3 / 4, 4 / 3)), ((0.05, 0.14), (0.5, 3.0))):
        expected = np.array(
            [
                ops.crop_box(d, h, w, scale, aspect)
                for d, (h, w) in zip(draws.numpy().tolist(), sizes.tolist(), strict=True)
            ],
            np.float32,
        )
        boxes = tf.function(lambda d, h, w, s=scale, a=aspect: ops.crop_boxes(d, h, w, s, a), autograph=False)
        found = boxes(draws, tf.constant(sizes[:, 0]), tf.constant(sizes[:, 1])).numpy()
        np.testing.assert_array_equal(found, expected)
    assert len(np.unique(expected, axis=0)) > count // 10


def test_a_table_gives_the_exponentials_that_it_stands_for(rng):
    """A box is that of torchvision's formula: a hundred-thousandth of a pixel moves no side of these."""
    draws = (rng.integers(0, 2**24, (5000, ops.CROP_DRAWS)) * 2.0**-24).astype(np.float32)
    low, high = np.log(3 / 4), np.log(4 / 3)
    for d in draws.tolist():
        box = ops.crop_box(d, 3000, 4000, (0.2, 0.4))
        area, ratio = 12e6 * (0.2 + (0.4 - 0.2) * d[0]), np.exp(low + (high - low) * d[10])
        sides = np.array([np.sqrt(area / ratio), np.sqrt(area * ratio)])
        if np.abs(sides % 1 - 0.5).min() > 1e-5:
            assert box[2:] == tuple(np.rint(sides))


def test_a_crop_that_never_fits_is_the_centre():
    keys = view_keys(0, tf.constant(0), tf.range(4), 0)
    box = ops.sample_crop(keys, 10, 100, (1.0, 1.0)).numpy()
    np.testing.assert_array_equal(box, [[0, 43, 10, 13]] * 4)


def test_jitter_ranges_probability_and_order(keys):
    factors, order = (x.numpy() for x in ops.sample_jitter(keys, 0.8, 0.4, 0.3, 0.2, 0.1))
    untouched = np.all(factors == [1, 1, 1, 0], axis=1)
    assert untouched.mean() == pytest.approx(0.2, abs=0.01)
    touched = factors[~untouched]
    for column, (low, high) in zip(touched.T, [(0.6, 1.4), (0.7, 1.3), (0.8, 1.2), (-0.1, 0.1)], strict=True):
        assert column.min() == pytest.approx(low, abs=0.01)
        assert column.max() == pytest.approx(high, abs=0.01)
        assert column.mean() == pytest.approx((low + high) / 2, abs=0.01)
    _, counts = np.unique(order @ [64, 16, 4, 1], return_counts=True)
    assert len(counts) == 24
    np.testing.assert_allclose(counts / N, 1 / 24, atol=0.006)


def test_probabilities_of_flip_gray_and_blur(keys):
    assert ops.sample_flip(keys, 0.5).numpy().mean() == pytest.approx(0.5, abs=0.012)
    assert ops.sample_grayscale(keys, 0.2).numpy().mean() == pytest.approx(0.2, abs=0.01)
    sigma = ops.sample_blur(keys, 0.5).numpy()
    assert (sigma == 0).mean() == pytest.approx(0.5, abs=0.012)
    assert sigma[sigma > 0].min() == pytest.approx(0.1, abs=0.01)
    assert sigma.max() == pytest.approx(2.0, abs=0.01)


def test_parameters_that_change_nothing_change_nothing(rng):
    images = tf.constant(rng.integers(0, 256, (2, 9, 9, 3)), tf.float32)
    identity = tf.constant([[1.0, 1.0, 1.0, 0.0]] * 2), tf.constant([[3, 0, 1, 2]] * 2)
    whole = tf.constant([[0.0, 0.0, 9.0, 9.0]] * 2)
    np.testing.assert_allclose(ops.apply_jitter(images, *identity), images, atol=1e-3)
    np.testing.assert_allclose(ops.apply_crop(images, whole, 9), images, atol=1e-4)
    np.testing.assert_allclose(ops.apply_blur(images, tf.zeros(2)), images, atol=1e-4)


def test_a_flip_in_the_crop_is_a_flip_after_all(rng):
    images = tf.constant(rng.integers(0, 256, (6, 20, 24, 3)), tf.uint8)
    keys = view_keys(5, tf.constant(1), tf.range(6), 1)
    box = ops.sample_crop(keys, 20, 24, (0.2, 1.0))
    flip = ops.sample_flip(keys, 0.5)
    assert 0 < flip.numpy().sum() < 6
    factors, order = ops.sample_jitter(keys, 1.0, 0.4, 0.4, 0.4, 0.1)
    sigma = ops.sample_blur(keys, 1.0)

    def finish(x):
        return ops.apply_blur(ops.apply_jitter(x, factors, order), sigma)

    first = finish(ops.apply_crop(images, box, 16, flip))
    last = ops.apply_flip(finish(ops.apply_crop(images, box, 16)), flip)
    np.testing.assert_allclose(first, last, atol=0.01)


def test_solarize_inverts_from_the_threshold_on_as_pil_does():
    levels = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1).repeat(3, axis=3)
    solarized = ops.apply_solarize(tf.constant(levels), tf.constant([True]))
    np.testing.assert_array_equal(solarized[0], np.asarray(ImageOps.solarize(Image.fromarray(levels[0]), 128)))
    np.testing.assert_array_equal(ops.apply_solarize(tf.constant(levels), tf.constant([False])), levels)


def test_probability_of_solarize(keys):
    assert ops.sample_solarize(keys, 0.2).numpy().mean() == pytest.approx(0.2, abs=0.01)


def test_one_image_at_a_time_and_all_at_once_are_the_same(rng):
    images = tf.constant(rng.integers(0, 256, (24, 16, 16, 3)), tf.uint8)
    keys = view_keys(3, tf.constant(0), tf.range(24), 0)
    factors, order = ops.sample_jitter(keys, 1.0, 0.8, 0.8, 0.8, 0.2)
    sigma = ops.sample_blur(keys, 0.5)
    assert len(np.unique(order, axis=0)) > 10
    jittered, blurred = ops.apply_jitter(images, factors, order), ops.apply_blur(images, sigma)
    for i in range(24):
        part = slice(i, i + 1)
        np.testing.assert_allclose(
            ops.apply_jitter(images[part], factors[part], order[part])[0], jittered[i], atol=1e-2
        )
        np.testing.assert_allclose(ops.apply_blur(images[part], sigma[part])[0], blurred[i], atol=1e-3)


@pytest.mark.parametrize("shape", [(375, 500), (500, 375), (331, 229), (100, 90), (224, 224), (256, 256), (256, 259)])
def test_the_centre_is_that_of_torchvision_s_resize_and_centre_crop(rng, shape):
    image = Image.fromarray(rng.integers(0, 256, (9, 9, 3), np.uint8)).resize(shape[::-1], Image.Resampling.BICUBIC)
    # Torchvision's Resize(256) and CenterCrop(224), written out.
    width, height = image.size
    short = min(width, height)
    resized = image.resize((int(256 * width / short), int(256 * height / short)), Image.Resampling.BILINEAR)
    left, top = round((resized.width - 224) / 2), round((resized.height - 224) / 2)
    expected = np.asarray(resized.crop((left, top, left + 224, top + 224)), np.float32)
    box = tf.constant([ops.centre_box(height, width, short, 224, 256)], tf.float32)
    for crop in (ops.apply_crop, ops.apply_crop_by_kernel):
        ours = crop(np.asarray(image)[None], box, 224, bounded=False)[0].numpy()
        assert np.abs(ours - expected).max() < 1.5  # Pillow rounds twice


def test_a_crop_is_pillow_s_up_to_its_edge(rng):
    image = Image.fromarray(rng.integers(0, 256, (60, 80, 3), np.uint8))
    for top, left, height, width in ((5, 9, 50, 60), (0, 0, 60, 80), (20, 30, 12, 10)):
        part = image.crop((left, top, left + width, top + height)).resize((24, 24), Image.Resampling.BILINEAR)
        for crop in (ops.apply_crop, ops.apply_crop_by_kernel):
            ours = crop(np.asarray(image)[None], tf.constant([[top, left, height, width]], tf.float32), 24)
            assert np.abs(ours[0].numpy() - np.asarray(part, np.float32)).max() < 1.1


@pytest.mark.parametrize("bounded", [True, False])
def test_the_kernel_s_crop_is_that_of_the_matrices(rng, bounded):
    images = tf.constant(rng.integers(0, 256, (3, 40, 50, 3)), tf.uint8)
    box = tf.constant([[3.0, 4.0, 30.0, 20.0], [0.0, 0.0, 40.0, 50.0], [20.0, 41.0, 5.0, 9.0]])
    expected = ops.apply_crop(images, box, 16, bounded=bounded)
    np.testing.assert_allclose(ops.apply_crop_by_kernel(images, box, 16, bounded), expected, atol=1e-3)


@pytest.mark.parametrize("shift", [-0.5, -0.2, 0.07, 0.4])
def test_hue_is_that_of_hsv_for_every_colour(rng, shift):
    """The reference images are nearly all red; these are of all hues."""
    image = rng.integers(0, 256, (1, 12, 12, 3)).astype(np.float32)

    def shifted(pixel):
        h, s, v = colorsys.rgb_to_hsv(*(pixel / 255.0))
        return colorsys.hsv_to_rgb((h + shift) % 1.0, s, v)

    expected = 255.0 * np.apply_along_axis(shifted, -1, image)
    np.testing.assert_allclose(ops.apply_hue(image, tf.constant([shift])), expected, atol=0.01)
