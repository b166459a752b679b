"""Computes average precision and recall as COCO defines them, through pycocotools."""

import contextlib
import io
from collections.abc import Iterable, Sequence
from typing import Any, Literal

import numpy as np
from pycocotools import mask as coco_mask
from pycocotools.cocoeval import COCOeval

from simsiam_tf.detection.scores.overlap import box_areas
from simsiam_tf.detection.scores.records import (
    Detections,
    Rle,
    TrueObjects,
    check_records,
    report_absent_classes,
)
from simsiam_tf.errors import check, check_choice

# COCO's twelve numbers, in the order of pycocotools.
_SUMMARY = ("AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl")


def coco_ap(
    truth: Sequence[TrueObjects],
    detections: Sequence[Detections],
    num_classes: int,
    kind: Literal["box", "mask"] = "box",
    class_names: Sequence[str] | None = None,
) -> dict[str, Any]:
    """Computes COCO's average precision (AP) and average recall (AR) of detections.

    A detection matches an object of its class if they overlap by the threshold or more. Crowds, and what lies in them,
    count neither way. Only the 100 best detections of an image and class count. Pascal VOC's `difficult` has no
    meaning here. Standard output is redirected meanwhile, because pycocotools prints its progress.

    Args:
        truth: the true objects of each image.
        detections: the detections of each image, in the same order.
        num_classes: the number of classes.
        kind: whether boxes or masks are compared.
        class_names: the names of the classes, for the log.

    Returns:
        Fractions, `None` where no object has the size or the class; such classes are left out of means and named in the
        log. AP is the mean over the thresholds 0.50, 0.55, ..., 0.95, AP50 and AP75 are at one. APs, APm and APl are of
        objects below 32^2, up to 96^2, and above 96^2 square pixels. AR1, AR10 and AR100 are with so many detections
        per image; ARs, ARm and ARl with 100. `ap_per_class` has an entry for each class, and
        `ap_per_class_and_threshold` a list of ten for each class.

    Raises:
        UsageError: if the records do not belong together, or masks are wanted and missing.

    Example:
        >>> no = np.zeros(1, bool)
        >>> boxes, classes = np.array([[10.0, 10.0, 50.0, 50.0]]), np.array([0])
        >>> truth, found = TrueObjects(boxes, classes, no, no), Detections(boxes + 2.0, np.array([0.9]), classes)
        >>> round(coco_ap([truth], [found], num_classes=1)["AP"], 3)
        0.7
    """
    check_choice("kind", kind, ("box", "mask"))
    check_records(truth, detections, num_classes)
    if kind == "mask":
        _check_masks(truth, detections)
    evaluation = COCOeval(
        _Annotations([_true_entries(record, kind) for record in truth], num_classes),
        _Annotations([_detected_entries(record, kind) for record in detections], num_classes),
        {"box": "bbox", "mask": "segm"}[kind],
    )
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    result: dict[str, Any] = dict(zip(_SUMMARY, map(_known, evaluation.stats), strict=True))
    # Thresholds, recalls, classes, ranges of area (0 is all), numbers of detections (the last is 100).
    by_threshold = evaluation.eval["precision"][:, :, :, 0, -1].mean(axis=1)
    result["ap_per_class"] = [_known(value) for value in by_threshold.mean(axis=0)]
    result["ap_per_class_and_threshold"] = [[_known(value) for value in row] for row in by_threshold.T]
    report_absent_classes(result["ap_per_class"], class_names)
    return result


def _known(value: float) -> float | None:
    """Returns `None` for pycocotools' -1, which says that there is no such object."""
    return float(value) if value > -1 else None


def _check_masks(truth: Sequence[TrueObjects], detections: Sequence[Detections]) -> None:
    for number, (true, found) in enumerate(zip(truth, detections, strict=True)):
        for record in (true, found):
            check(record.masks is not None or not len(record), "kind=mask needs masks.", f"none for image {number}")
        # Between masks of different sizes pycocotools finds an overlap of -1 and says nothing.
        sizes = {tuple(map(int, mask["size"])) for mask in (*(true.masks or ()), *(found.masks or ()))}
        check(len(sizes) <= 1, f"All masks of image {number} must have the image's size.", sorted(sizes))


def _true_entries(record: TrueObjects, kind: str) -> list[dict[str, Any]]:
    areas = record.areas
    if areas is None:
        areas = box_areas(record.boxes) if kind == "box" else _mask_areas(record.masks)
    return [
        entry | {"area": float(area), "iscrowd": int(crowd)}
        for entry, area, crowd in zip(_entries(record, kind), areas, record.crowd, strict=True)
    ]


def _detected_entries(record: Detections, kind: str) -> list[dict[str, Any]]:
    areas = box_areas(record.boxes) if kind == "box" else _mask_areas(record.masks)
    return [
        entry | {"area": float(area), "score": float(score)}
        for entry, area, score in zip(_entries(record, kind), areas, record.scores, strict=True)
    ]


def _mask_areas(masks: Sequence[Rle] | None) -> np.ndarray:
    return coco_mask.area(list(masks)) if masks else np.zeros(0)


def _entries(record: TrueObjects | Detections, kind: str) -> Iterable[dict[str, Any]]:
    """Yields the class and the box or the mask of each object. COCO numbers classes from 1."""
    for number, (box, label) in enumerate(zip(np.asarray(record.boxes, np.float64), record.classes, strict=True)):
        entry: dict[str, Any] = {"category_id": int(label) + 1}
        if kind == "mask" and record.masks is not None:
            entry["segmentation"] = record.masks[number]
        else:
            entry["bbox"] = [*box[:2].tolist(), *(box[2:] - box[:2]).tolist()]
        yield entry


class _Annotations:
    """Holds entries in memory and answers what COCOeval asks of pycocotools' class COCO.

    That class reads files, and takes the area of a mask from the box where both are given.
    """

    def __init__(self, entries: Sequence[Sequence[dict[str, Any]]], num_classes: int):
        self._num_images, self._num_classes = len(entries), num_classes
        flat = [entry | {"image_id": image} for image, of_image in enumerate(entries) for entry in of_image]
        # Numbers start at 1: pycocotools marks what has no match with 0.
        self._entries = [entry | {"id": number} for number, entry in enumerate(flat, start=1)]

    def getImgIds(self) -> list[int]:  # noqa: N802 - pycocotools' name
        return list(range(self._num_images))

    def getCatIds(self) -> list[int]:  # noqa: N802 - pycocotools' name
        return list(range(1, self._num_classes + 1))

    def getAnnIds(self, imgIds: Sequence[int], catIds: Sequence[int]) -> list[int]:  # noqa: N802, N803
        del imgIds, catIds  # always all
        return list(range(1, len(self._entries) + 1))

    def loadAnns(self, ids: Sequence[int]) -> list[dict[str, Any]]:  # noqa: N802 - pycocotools' name
        return [self._entries[number - 1] for number in ids]

    def annToRLE(self, entry: dict[str, Any]) -> Rle:  # noqa: N802 - pycocotools' name
        return entry["segmentation"]
