"""Makes records of few objects."""

import numpy as np

from simsiam_tf.detection.scores.records import Detections, TrueObjects

A, B, C = [10.0, 10.0, 50.0, 50.0], [60.0, 10.0, 100.0, 50.0], [10.0, 60.0, 50.0, 100.0]


def true(*boxes, classes=None, crowd=(), difficult=(), **others) -> TrueObjects:
    """Objects of class 0, unless `classes` says otherwise; `crowd` and `difficult` are indices."""
    numbers = np.arange(len(boxes))
    classes = np.zeros(len(boxes), int) if classes is None else np.array(classes)
    array = np.array(boxes, np.float64).reshape(-1, 4)
    return TrueObjects(array, classes, np.isin(numbers, crowd), np.isin(numbers, difficult), **others)


def found(*boxes, scores=None, classes=None, masks=None) -> Detections:
    """Detections of class 0 with falling scores, unless said otherwise."""
    scores = 0.9 - 0.1 * np.arange(len(boxes)) if scores is None else np.array(scores, np.float64)
    classes = np.zeros(len(boxes), int) if classes is None else np.array(classes)
    return Detections(np.array(boxes, np.float64).reshape(-1, 4), scores, classes, masks)
