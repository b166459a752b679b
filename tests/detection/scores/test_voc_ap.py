import json
import logging

import numpy as np
import pytest

from simsiam_tf.detection.scores.voc_ap import voc_ap, voc_curves
from simsiam_tf.errors import UsageError
from tests.conftest import ROOT
from tests.detection.scores.made import A, B, C, found, true
from tests.parity.detection_ap import records


def ap50(truth, detections, metric="area", num_classes=1):
    return voc_ap([truth], [detections], num_classes, metric)["AP50"]


def test_by_hand():
    """Class 0 goes T F T T F F F F; class 1 goes T - F T F T - F, where - counts neither way. Three objects each."""
    data = json.loads((ROOT / "tests/fixtures/detection_ap.json").read_text())
    first, second = voc_curves(*records(data), 2)[50]
    assert first.ap_11_point == pytest.approx((4 * 1 + 7 * 3 / 4) / 11)
    assert second.ap_11_point == pytest.approx((4 * 1 + 3 * 2 / 3 + 4 * 3 / 5) / 11)
    np.testing.assert_allclose(first.precision, [1, 1 / 2, 2 / 3, 3 / 4, 3 / 5, 3 / 6, 3 / 7, 3 / 8])
    np.testing.assert_allclose(second.precision, [1, 1, 1 / 2, 2 / 3, 2 / 4, 3 / 5, 3 / 5, 3 / 6])
    assert first.ap_area == pytest.approx((1 + 3 / 4 + 3 / 4) / 3)


def test_nothing_detected_is_nothing_found():
    assert ap50(true(A), found()) == 0.0
    assert ap50(true(A), found(), "11_point") == 0.0


def test_without_objects_there_is_no_average_precision(caplog):
    with caplog.at_level(logging.WARNING):
        result = voc_ap([true()], [found(A)], 1, "area")
    assert result["AP"] is None and result["AP50"] is None and result["ap_per_class"] == [None]
    assert "classes without true objects are left out of the mean: 0." in caplog.text


@pytest.mark.parametrize("names, shown", [(None, "1"), (["cat", "dog"], "dog")])
def test_a_class_without_objects_is_left_out_and_named(caplog, names, shown):
    with caplog.at_level(logging.WARNING):
        result = voc_ap([true(A)], [found(A, B, classes=[0, 1])], 2, "11_point", names)
    assert result["AP"] == pytest.approx(1.0)
    assert result["ap_per_class"] == [pytest.approx(1.0), None]
    assert f"left out of the mean: {shown}." in caplog.text


def test_of_equal_scores_the_earlier_detection_is_first():
    wrong_last, wrong_first = found(A, C, scores=[0.5, 0.5]), found(C, A, scores=[0.5, 0.5])
    assert ap50(true(A), wrong_last) == 1.0
    assert ap50(true(A), wrong_first) == 0.5
    boxes = [C] * 100
    boxes[50] = A  # behind 25 others of its score; so many that an unstable sort shows
    (curve,) = voc_curves([true(A)], [found(*boxes, scores=[0.5, 0.25] * 50)], 1)[50]
    assert curve.recall.argmax() == 25


def test_equal_scores_in_two_images_keep_the_order_of_images():
    assert voc_ap([true(A), true()], [found(A, scores=[0.5]), found(A, scores=[0.5])], 1, "area")["AP50"] == 1.0
    assert voc_ap([true(), true(A)], [found(A, scores=[0.5]), found(A, scores=[0.5])], 1, "area")["AP50"] == 0.5


def test_a_second_detection_of_an_object_is_wrong():
    (curve,) = voc_curves([true(A, B)], [found(A, A, B)], 1)[50]
    np.testing.assert_allclose(curve.precision, [1, 1 / 2, 2 / 3])
    np.testing.assert_allclose(curve.recall, [1 / 2, 1 / 2, 1])


def test_a_detection_never_takes_its_second_best_object():
    near = [12.0, 10.0, 52.0, 50.0]
    (curve,) = voc_curves([true(A, near)], [found(A, A)], 1)[50]
    np.testing.assert_allclose(curve.recall, [1 / 2, 1 / 2])


def test_difficult_objects_count_neither_way():
    assert ap50(true(A, difficult=[0]), found(A)) is None
    (curve,) = voc_curves([true(A, B, difficult=[0])], [found(A, A, B)], 1)[50]
    np.testing.assert_allclose(curve.precision, [0, 0, 1])
    assert (curve.ap_area, curve.ap_11_point) == (1.0, pytest.approx(1.0))


def test_what_lies_on_a_crowd_is_wrong():
    (curve,) = voc_curves([true(A, B, crowd=[0])], [found(A, B)], 1)[50]
    np.testing.assert_allclose(curve.precision, [0, 1 / 2])
    np.testing.assert_allclose(curve.recall, [0, 1])


def test_the_threshold_must_be_exceeded():
    half = [10.0, 10.0, 30.0, 50.0]
    assert ap50(true(A), found(half)) == 0.0
    assert ap50(true(A), found([10.0, 10.0, 30.5, 50.0])) == 1.0


def test_boxes_of_another_class_are_not_taken():
    (first, second) = voc_curves([true(A, B, classes=[0, 1])], [found(A, classes=[1])], 2)[50]
    assert len(first.recall) == 0 and second.recall.tolist() == [0.0]


@pytest.mark.parametrize(
    "truth, detections, rule",
    [
        ([true(A)], [], "must belong to the same images"),
        ([], [], "must belong to the same images"),
        ([true(A)], [found(A, classes=[1])], "below the number of classes, 1"),
    ],
)
def test_records_that_do_not_belong_together_are_refused(truth, detections, rule):
    with pytest.raises(UsageError, match=rule):
        voc_ap(truth, detections, 1, "area")


def test_an_unknown_metric_is_refused():
    with pytest.raises(UsageError, match="metric must be one of 11_point, area"):
        voc_ap([true(A)], [found(A)], 1, "voc07")
