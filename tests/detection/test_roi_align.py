import numpy as np
import pytest
import tensorflow as tf

from simsiam_tf.detection.roi_align import axis_weights, roi_align


def sampled(features, box, size, scale, ratio):
    """RoIAlign with plain loops over samples, within the map."""
    x1, y1, x2, y2 = np.asarray(box) * scale - 0.5
    heights, widths = (y2 - y1) / size, (x2 - x1) / size
    ny, nx = (ratio or int(np.ceil(heights))), (ratio or int(np.ceil(widths)))
    out = np.zeros((size, size, features.shape[-1]))
    for p in range(size):
        for q in range(size):
            for i in range(ny):
                for j in range(nx):
                    y = np.clip(y1 + p * heights + (i + 0.5) * heights / ny, 0, features.shape[0] - 1)
                    x = np.clip(x1 + q * widths + (j + 0.5) * widths / nx, 0, features.shape[1] - 1)
                    y0, x0 = min(int(y), features.shape[0] - 2), min(int(x), features.shape[1] - 2)
                    dy, dx = y - y0, x - x0
                    block = features[y0 : y0 + 2, x0 : x0 + 2]
                    weights = np.outer([1 - dy, dy], [1 - dx, dx])
                    out[p, q] += (weights[..., None] * block).sum((0, 1)) / (ny * nx)
    return out


@pytest.mark.parametrize("ratio", [0, 1, 3])
def test_equals_plain_loops(rng, ratio):
    features = rng.normal(size=(7, 9, 2))
    boxes = np.array([[3.0, 5.0, 60.0, 50.0], [0.0, 0.0, 72.0, 56.0], [10.0, 20.0, 13.0, 22.0]])
    pooled = roi_align(tf.constant(features), tf.constant(boxes), 3, 1 / 8, ratio).numpy()
    for box, ours in zip(boxes, pooled, strict=True):
        np.testing.assert_allclose(ours, sampled(features, box, 3, 1 / 8, ratio), atol=1e-12)


def test_more_regions_than_a_chunk_are_pooled_one_by_one(rng):
    features = tf.constant(rng.normal(size=(6, 6, 3)))
    corner = rng.uniform(0, 60, (150, 2))
    boxes = tf.constant(np.concatenate([corner, corner + rng.uniform(5, 30, (150, 2))], axis=1))
    together = roi_align(features, boxes, 2, 1 / 16).numpy()
    assert together.shape == (150, 2, 2, 3)
    for i in (0, 63, 64, 149):
        np.testing.assert_allclose(together[i], roi_align(features, boxes[i : i + 1], 2, 1 / 16)[0], atol=1e-14)


def test_no_gradient_flows_to_the_boxes(rng):
    features, boxes = tf.constant(rng.normal(size=(5, 5, 1))), tf.constant([[3.0, 3.0, 50.0, 60.0]], tf.float64)
    with tf.GradientTape() as tape:
        tape.watch((features, boxes))
        total = tf.reduce_sum(roi_align(features, boxes, 2, 1 / 16) ** 2)
    of_features, of_boxes = tape.gradient(total, (features, boxes))
    assert of_boxes is None
    assert float(tf.norm(of_features)) > 0


def test_samples_are_clamped_where_padding_begins():
    start, end = tf.constant([2.0]), tf.constant([4.0])
    padded = axis_weights(start, end, 8, 2, 1.0, valid_length=tf.constant([4.0])).numpy()
    alone = axis_weights(start, end, 4, 2, 1.0).numpy()
    np.testing.assert_array_equal(padded[..., :4], alone)
    assert padded[..., 4:].sum() == 0


def test_without_regions_there_is_nothing():
    assert roi_align(tf.ones([4, 4, 2]), tf.zeros([0, 4]), 3, 0.5).shape == (0, 3, 3, 2)
