import numpy as np

from simsiam_tf.detection.scores.overlap import box_areas, intersection_over_union


def test_overlaps_by_hand():
    a = np.array([[0.0, 0.0, 4.0, 4.0], [1.0, 1.0, 1.0, 3.0]])
    b = np.array([[0.0, 0.0, 4.0, 2.0], [2.0, 2.0, 6.0, 6.0], [4.0, 0.0, 8.0, 4.0], [1.0, 1.0, 1.0, 3.0]])
    np.testing.assert_allclose(intersection_over_union(a, b), [[0.5, 4 / 28, 0, 0], [0, 0, 0, 0]])
    np.testing.assert_allclose(box_areas(a), [16, 0])


def test_no_boxes():
    assert intersection_over_union(np.zeros((0, 4)), np.zeros((2, 4))).shape == (0, 2)


def test_float32_boxes_are_computed_in_float64():
    a = np.array([[0.1, 0.1, 1000.3, 900.7]], np.float32)
    b = np.array([[0.2, 0.1, 1000.3, 900.7]], np.float32)
    expected = intersection_over_union(a.astype(np.float64), b.astype(np.float64))
    np.testing.assert_array_equal(intersection_over_union(a, b), expected)
