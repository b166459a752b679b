"""Computes average precision as Pascal VOC defines it, over the thresholds of COCO."""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

from simsiam_tf.detection.scores.overlap import intersection_over_union
from simsiam_tf.detection.scores.records import Detections, TrueObjects, check_records, report_absent_classes
from simsiam_tf.errors import check_choice

# Percent of overlap that a detection must exceed.
THRESHOLDS = tuple(range(50, 100, 5))
# 0.1 times 3, 6 and 7 is a little above 0.3, 0.6 and 0.7, so that a recall of exactly 3 of 10 does not reach its point.
# Detectron2's numbers, and those of most papers, are computed with these points.
_ELEVEN_POINTS = np.arange(11) * 0.1


class Curve(NamedTuple):
    """Holds precision over recall of one class at one threshold.

    Attributes:
        recall: `[d]`, the fraction of the objects found among the best 1, 2, ..., d detections.
        precision: `[d]`, the fraction of these detections that are right.
        ap_11_point: the mean of the greatest precision at a recall of 0, 0.1, ..., 1 or more, as for VOC 2007.
        ap_area: the area under the curve, made to fall, as from VOC 2010 on.
    """

    recall: np.ndarray
    precision: np.ndarray
    ap_11_point: float
    ap_area: float


def voc_ap(
    truth: Sequence[TrueObjects],
    detections: Sequence[Detections],
    num_classes: int,
    metric: Literal["11_point", "area"],
    class_names: Sequence[str] | None = None,
) -> dict[str, Any]:
    """Computes the average precision (AP) that papers report for Pascal VOC.

    `voc_curves` says which detections are right. Detectron2 rounds scores and boxes before; this function does not.

    Args:
        truth: the true objects of each image.
        detections: the detections of each image, in the same order.
        num_classes: the number of classes.
        metric: `11_point` for the test set of VOC 2007, `area` for later ones.
        class_names: the names of the classes, for the log.

    Returns:
        Fractions: `AP`, the mean over classes and the thresholds 0.50, 0.55, ..., 0.95, `AP50` and `AP75`; in
        `ap_per_class` an entry for each class, and in `ap_per_class_and_threshold` a list of ten for each. A class
        without objects has `None`, is left out of the means and named in the log. Without any object all are `None`.

    Raises:
        UsageError: if the records do not belong together.

    Example:
        >>> no = np.zeros(1, bool)
        >>> boxes, classes = np.array([[10.0, 10.0, 50.0, 50.0]]), np.array([0])
        >>> truth, found = TrueObjects(boxes, classes, no, no), Detections(boxes + 2.0, np.array([0.9]), classes)
        >>> round(voc_ap([truth], [found], num_classes=1, metric="area")["AP"], 3)
        0.7
    """
    check_choice("metric", metric, ("11_point", "area"))
    curves = voc_curves(truth, detections, num_classes)
    values = [
        [None if curve is None else getattr(curve, f"ap_{metric}") for curve in of_class]
        for of_class in zip(*(curves[threshold] for threshold in THRESHOLDS), strict=True)
    ]
    per_class = [_mean(of_class) for of_class in values]
    report_absent_classes(per_class, class_names)
    return {
        "AP": _mean(per_class),
        "AP50": _mean([of_class[THRESHOLDS.index(50)] for of_class in values]),
        "AP75": _mean([of_class[THRESHOLDS.index(75)] for of_class in values]),
        "ap_per_class": per_class,
        "ap_per_class_and_threshold": values,
    }


def voc_curves(
    truth: Sequence[TrueObjects], detections: Sequence[Detections], num_classes: int
) -> dict[int, list[Curve | None]]:
    """Computes precision over recall as Pascal VOC defines it.

    Each detection takes the object of its class that it overlaps most. It is right if the overlap exceeds the threshold
    and no better detection took that object. If that object is difficult, the detection counts neither way. Difficult
    objects need not be found. Crowds are no objects, and what lies on them is wrong, unless it is right for an object.

    Args:
        truth: the true objects of each image.
        detections: the detections of each image, in the same order.
        num_classes: the number of classes.

    Returns:
        By threshold, in percent, the curve of each class; `None` for a class without objects that must be found.

    Raises:
        UsageError: if the records do not belong together.
    """
    check_records(truth, detections, num_classes)
    matches = _match(truth, detections)
    to_find = np.zeros(num_classes, int)
    for objects in truth:
        counted = ~np.asarray(objects.crowd, bool) & ~np.asarray(objects.difficult, bool)
        to_find += np.bincount(np.asarray(objects.classes, int)[counted], minlength=num_classes)
    curves: dict[int, list[Curve | None]] = {threshold: [] for threshold in THRESHOLDS}
    for number, count in enumerate(to_find):
        of_class = matches.rows(np.flatnonzero(matches.classes == number))
        of_class = of_class.rows(np.argsort(-of_class.scores, kind="stable"))
        for threshold in THRESHOLDS:
            curves[threshold].append(_curve(of_class, threshold / 100, int(count)) if count else None)
    return curves


class _Matches(NamedTuple):
    """Holds for each of d detections, `[d]` each, the object of its class that it overlaps most.

    `overlap` is -1 where the image has no object of the class. `objects` numbers the objects of all images.
    """

    scores: np.ndarray
    classes: np.ndarray
    overlap: np.ndarray
    objects: np.ndarray
    difficult: np.ndarray

    def rows(self, index: np.ndarray) -> "_Matches":
        return _Matches(*(column[index] for column in self))


def _match(truth: Sequence[TrueObjects], detections: Sequence[Detections]) -> _Matches:
    parts, first = [], 0
    for true, found in zip(truth, detections, strict=True):
        kept = ~np.asarray(true.crowd, bool)
        classes, difficult = np.asarray(true.classes, int)[kept], np.asarray(true.difficult, bool)[kept]
        found_classes = np.asarray(found.classes, int)
        overlap = intersection_over_union(found.boxes, true.boxes[kept])
        overlap = np.where(found_classes[:, None] == classes[None, :], overlap, -1.0)
        if classes.size:
            best = overlap.argmax(axis=1)
            columns = overlap.max(axis=1), first + best, difficult[best]
        else:
            none = len(found)
            columns = np.full(none, -1.0), np.full(none, -1), np.zeros(none, bool)
        parts.append((np.asarray(found.scores, np.float64), found_classes, *columns))
        first += len(classes)
    return _Matches(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _curve(matches: _Matches, threshold: float, count: int) -> Curve:
    """Computes the curve of one class from its detections, the best first, and the number of objects to find."""
    overlaps = matches.overlap > threshold
    candidates = np.flatnonzero(overlaps & ~matches.difficult)
    right = np.zeros(len(overlaps), bool)
    right[candidates[np.unique(matches.objects[candidates], return_index=True)[1]]] = True
    wrong = ~right & ~(overlaps & matches.difficult)
    num_right, num_wrong = np.cumsum(right), np.cumsum(wrong)
    recall, precision = num_right / count, num_right / np.maximum(num_right + num_wrong, 1)
    falling = np.maximum.accumulate(precision[::-1])[::-1]  # the greatest precision at this recall or more
    reached = np.searchsorted(recall, _ELEVEN_POINTS)
    at_points = np.append(falling, 0.0)[reached]
    area = float(np.sum(np.diff(recall, prepend=0.0) * falling))
    return Curve(recall, precision, float(at_points.mean()), area)


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
