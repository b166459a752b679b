import numpy as np
import pytest

from simsiam_tf.detection.scores.masks import masks_to_rle
from simsiam_tf.detection.scores.records import Detections
from simsiam_tf.errors import UsageError
from tests.detection.scores.made import A, B, found, true


@pytest.mark.parametrize(
    "make, rule",
    [
        (lambda: true([10.0, 10.0, 5.0, 20.0]), "x1 <= x2"),
        (lambda: found([10.0, np.nan, 50.0, 20.0]), "must be finite"),
        (lambda: found(A, scores=[np.nan]), "Scores must be"),
        (lambda: found(A, B, scores=[0.5]), "equally many"),
        (lambda: true(A, B, classes=[0]), "equally many"),
        (lambda: true(A, classes=[-1]), "must not be negative"),
        (lambda: true(A, classes=[0.5]), "whole numbers"),
        (lambda: true(A, areas=np.array([-1.0])), "Areas must be"),
        (lambda: true(A, masks=masks_to_rle(np.ones((1, 4, 5), bool)), size=(5, 4)), "must have the image's size"),
        (lambda: Detections(np.zeros((2, 5)), np.zeros(2), np.zeros(2, int)), r"must be \[n, 4\]"),
    ],
)
def test_records_that_make_no_sense_are_refused(make, rule):
    with pytest.raises(UsageError, match=rule):
        make()


def test_records_know_their_number_of_objects():
    assert (len(true()), len(true(A, B)), len(found()), len(found(A))) == (0, 2, 0, 1)
