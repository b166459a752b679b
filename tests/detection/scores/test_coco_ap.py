import numpy as np
import pytest

from simsiam_tf.detection.scores.coco_ap import coco_ap
from simsiam_tf.detection.scores.masks import masks_to_rle
from simsiam_tf.errors import UsageError
from tests.detection.scores.made import A, B, C, found, true


def rle(*boxes, height=120, width=110):
    masks = np.zeros((len(boxes), height, width), bool)
    for mask, (x1, y1, x2, y2) in zip(masks, np.array(boxes, int), strict=True):
        mask[y1:y2, x1:x2] = True
    return masks_to_rle(masks)


def test_perfect_boxes(capsys):
    result = coco_ap([true(A), true(B)], [found(A), found(B)], 1)
    assert result["AP"] == pytest.approx(1.0) and result["AR100"] == pytest.approx(1.0)
    assert (result["APs"], result["APl"], result["ARs"]) == (None, None, None)
    assert result["ap_per_class_and_threshold"] == [[pytest.approx(1.0)] * 10]
    assert capsys.readouterr().out == ""


def test_an_overlap_of_exactly_the_threshold_matches():
    assert coco_ap([true(A)], [found([10.0, 10.0, 30.0, 50.0])], 1)["AP50"] == pytest.approx(1.0)


def test_nothing_detected_and_nothing_there(caplog):
    assert coco_ap([true(A)], [found()], 1)["AP"] == 0.0
    result = coco_ap([true()], [found(A)], 1, class_names=["cat"])
    assert result["AP"] is None and result["ap_per_class"] == [None]
    assert "left out of the mean: cat." in caplog.text


def test_a_class_without_objects_is_left_out():
    result = coco_ap([true(A, classes=[1])], [found(A, B, classes=[1, 0])], 2)
    assert result["AP"] == pytest.approx(1.0)
    assert result["ap_per_class"] == [None, pytest.approx(1.0)]


def test_what_lies_on_a_crowd_counts_neither_way():
    crowd = [0.0, 0.0, 100.0, 50.0]
    assert coco_ap([true(crowd, C, crowd=[0])], [found(A, B, C)], 1)["AP"] == pytest.approx(1.0)
    assert coco_ap([true(crowd, C)], [found(A, B, C)], 1)["AP"] < 0.5


def test_given_areas_decide_what_is_small():
    assert coco_ap([true(A)], [found(A)], 1)["APm"] == pytest.approx(1.0)
    result = coco_ap([true(A, areas=np.array([100.0]))], [found(A)], 1)
    assert (result["APs"], result["APm"]) == (pytest.approx(1.0), None)


def test_masks_are_compared_not_boxes():
    left_half = rle([10, 10, 30, 50])
    whole = rle(A)
    truth, detections = true(A, masks=whole, size=(120, 110)), found(A, masks=left_half)
    assert coco_ap([truth], [detections], 1, "box")["AP"] == pytest.approx(1.0)
    result = coco_ap([truth], [detections], 1, "mask")
    assert (result["AP50"], result["AP75"]) == (pytest.approx(1.0), 0.0)


def test_the_areas_of_masks_decide_what_is_small():
    small = rle([10, 10, 20, 20])
    result = coco_ap([true(A, masks=small)], [found(A, masks=small)], 1, "mask")
    assert (result["APs"], result["APm"]) == (pytest.approx(1.0), None)


def test_masks_that_are_missing_or_of_another_size_are_refused():
    with pytest.raises(UsageError, match="kind=mask needs masks"):
        coco_ap([true(A, masks=rle(A))], [found(A)], 1, "mask")
    with pytest.raises(UsageError, match="All masks of image 0 must have the image's size"):
        coco_ap([true(A, masks=rle(A))], [found(A, masks=rle(A, width=111))], 1, "mask")
    with pytest.raises(UsageError, match="kind must be one of box, mask"):
        coco_ap([true(A)], [found(A)], 1, "bbox")


def test_only_the_best_hundred_detections_count():
    boxes, scores = [C] * 100 + [A], [0.9] * 100 + [0.1]
    assert coco_ap([true(A)], [found(*boxes, scores=scores)], 1)["AP"] == 0.0
    assert coco_ap([true(A)], [found(*boxes[1:], scores=scores[1:])], 1)["AP"] > 0.0
