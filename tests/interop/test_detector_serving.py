"""What the export of a detector serves: what the detector finds, in any number of images of any size."""

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from simsiam_tf.config.detector import DetectorConfig
from simsiam_tf.data.objects.resize import resized
from simsiam_tf.detection.detections import Detections
from simsiam_tf.interop.detector_serving import _seen_size, detector_functions, objects_in, resize
from tests.interop.detectors import assert_same, by_python, made


@pytest.fixture(scope="module")
def detector():
    return made()


@pytest.fixture(scope="module")
def functions(detector):
    return detector_functions(detector, 64, 96)


@pytest.mark.parametrize("shape", [(1, 64, 80), (2, 90, 64)])
def test_it_finds_what_an_evaluation_finds(functions, detector, rng, shape):
    images = rng.integers(0, 256, (*shape, 3), np.uint8)
    assert_same(functions["serve"](tf.constant(images)), by_python(detector, images))


def test_boxes_and_masks_are_in_pixels_of_the_image_as_given(functions, rng):
    """Each pixel four times: the detector sees the same, but for the edges of the pixels."""
    image = rng.integers(0, 256, (1, 64, 80, 3), np.uint8).repeat(2, axis=1).repeat(2, axis=2)
    out = functions["serve"](tf.constant(image))
    assert out["masks"].shape == (1, 10, 128, 160)
    assert out["masks"].dtype == tf.bool
    shown = np.asarray(Image.fromarray(image[0]).resize((80, 64), Image.Resampling.BILINEAR))
    expected = functions["serve"](tf.constant(shown[np.newaxis]))
    np.testing.assert_allclose(out["boxes"], 2 * expected["boxes"], atol=1e-3)
    assert out["boxes"].numpy().max() > 80
    differs = out["masks"].numpy() != expected["masks"].numpy().repeat(2, axis=2).repeat(2, axis=3)
    assert differs.mean() < 0.02  # the edges of the masks are finer


def test_no_images_and_tiny_ones(functions):
    none = functions["serve"](tf.zeros([0, 9, 7, 3], tf.uint8))
    assert {name: tuple(value.shape) for name, value in none.items()} == {
        **{"boxes": (0, 10, 4), "scores": (0, 10), "classes": (0, 10), "count": (0,), "masks": (0, 10, 9, 7)}
    }
    one = functions["serve"](tf.zeros([1, 1, 300, 3], tf.uint8))
    assert one["masks"].shape == (1, 10, 1, 300)
    count = int(one["count"][0])
    assert (one["classes"][0].numpy() >= 0).tolist() == [True] * count + [False] * (10 - count)


def test_a_box_without_an_area_is_no_object(rng):
    class Fake:
        settings, mask_head = DetectorConfig(detections_per_image=3), None

        def detect(self, images, sizes):
            boxes = tf.constant([[[5.0, 1, 5, 9], [1, 2, 3, 4], [0, 0, 0, 0]]])
            kept = tf.constant([[0.9, 0.8, 0]]), tf.constant([[2, 1, -1]]), tf.zeros([1, 3], tf.int32)
            return Detections(boxes, *kept), None

    out = objects_in(Fake(), tf.zeros([1, 64, 64, 3], tf.uint8), 64, 96)
    assert {name: value[0].numpy().tolist() for name, value in out.items() if name != "scores"} == {
        **{"boxes": [[1, 2, 3, 4], [0] * 4, [0] * 4], "classes": [1, -1, -1], "count": 1}
    }
    np.testing.assert_allclose(out["scores"], [[0.8, 0, 0]])


def test_a_file_is_turned_upright(functions, rng):
    photo = rng.integers(0, 256, (64, 80, 3), np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.rot90(photo)).save(file := io.BytesIO(), "PNG", exif=exif)
    out = functions["serving_bytes"](tf.constant([file.getvalue()]))
    expected = functions["serve"](tf.constant(photo[np.newaxis]))
    for name in expected:
        np.testing.assert_array_equal(out[name], expected[name])
    with pytest.raises(tf.errors.InvalidArgumentError):
        functions["serving_bytes"](tf.constant([b"no image"]))


@pytest.mark.parametrize(
    ("old", "differing"), [((64, 64), 0), ((480, 640), 0.01), ((90, 50), 0.04), ((33, 400), 0.01), ((100, 37), 0.35)]
)
def test_resizing_is_that_of_pillow(old, differing, rng):
    """Pillow resizes the columns first if an image is more than twice as tall as it is wide, and rounds them."""
    image = rng.integers(0, 256, (*old, 3), np.uint8)
    new = resized(np.array([old]), np.array([64]), 96)[0]
    size = _seen_size(tf.constant(old), 64, 96)
    np.testing.assert_array_equal(size, new)
    expected = np.asarray(Image.fromarray(image).resize((new[1], new[0]), Image.Resampling.BILINEAR))
    difference = np.abs(resize(tf.constant(image), size).numpy().astype(int) - expected)
    assert difference.max() <= 1
    assert (difference > 0).mean() <= differing


def test_sizes_are_those_of_an_evaluation():
    sizes = np.random.default_rng(0).integers(1, 5000, (200, 2))
    ours = np.array([_seen_size(tf.constant(size, tf.int32), 800, 1333) for size in sizes])
    np.testing.assert_array_equal(ours, resized(sizes, np.full(200, 800), 1333))
