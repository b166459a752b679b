"""A small detector, and what it finds without an export, for tests of its exports."""

import numpy as np
import tensorflow as tf

from simsiam_tf.detection.canvas import on_canvas
from simsiam_tf.detection.masks import paste_masks
from tests.detection.tiny import make_detector
from tests.interop.networks import with_statistics

NAMES = ["cat", "dög", "bad\udcff"]


def made(masks=True):
    """A detector with a low threshold, so that it finds something whatever its weights are."""
    return with_statistics(make_detector(masks, score_threshold=0.01), np.random.default_rng(2))


def by_python(detector, images):
    """What an evaluation finds in images that need not be resized."""
    sizes = tf.constant([images.shape[1:3]] * len(images))
    found, masks = detector.detect(on_canvas(tf.constant(images), sizes), sizes)
    assert (found.classes.numpy() >= 0).all(), "the images must show something"
    drawn = [paste_masks(*of_one, *images.shape[1:3]) >= 0.5 for of_one in zip(masks, found.boxes, strict=True)]
    return {"boxes": found.boxes, "scores": found.scores, "classes": found.classes, "masks": np.stack(drawn)}


def assert_same(out, expected):
    np.testing.assert_array_equal(out["classes"], expected["classes"])
    np.testing.assert_array_equal(out["count"], [10] * len(expected["classes"]))
    np.testing.assert_allclose(out["boxes"], expected["boxes"], atol=1e-4)
    np.testing.assert_allclose(out["scores"], expected["scores"], atol=1e-6)
    assert np.asarray(out["masks"]).any()
    np.testing.assert_array_equal(out["masks"], expected["masks"])
