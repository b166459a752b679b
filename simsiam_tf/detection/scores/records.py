"""Holds the true objects and the detections of images, as the measures of detection take them."""

import dataclasses
import logging
from collections.abc import Sequence
from typing import Any

import numpy as np

from simsiam_tf.errors import check

_log = logging.getLogger(__name__)

# A mask as pycocotools encodes it: "size" is (height, width), "counts" the compressed runs as bytes or str.
Rle = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class TrueObjects:
    """Holds the true objects of one image.

    Attributes:
        boxes: `[n, 4]`, x1, y1, x2, y2 in pixels. They are continuous: the pixel in column j covers j to j + 1.
        classes: `[n]` whole numbers from 0.
        crowd: `[n] bool`, whether a box surrounds a group of objects that are not told apart.
        difficult: `[n] bool`, whether Pascal VOC marks the object as difficult.
        areas: `[n]`, the areas by which COCO calls objects small, medium or large, square pixels. `None` takes the
            areas of the boxes for boxes, and those of the masks for masks.
        masks: the n masks, as `masks_to_rle` makes them; `None` if the data set has no masks.
        size: the height and the width of the image, pixels; `None` if unknown.

    Raises:
        UsageError: if the numbers of objects differ, or a box is not finite or ends before it starts.

    Example:
        >>> no = np.zeros(1, bool)
        >>> len(TrueObjects(np.array([[10.0, 10.0, 50.0, 50.0]]), np.array([3]), crowd=no, difficult=no))
        1
    """

    boxes: np.ndarray
    classes: np.ndarray
    crowd: np.ndarray
    difficult: np.ndarray
    areas: np.ndarray | None = None
    masks: Sequence[Rle] | None = None
    size: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        _check_boxes("true", self.boxes)
        _check_classes("true", self.classes)
        lengths = {name: len(value) for name, value in vars(self).items() if value is not None and name != "size"}
        _check_lengths("true objects", lengths)
        if self.areas is not None:
            areas = np.asarray(self.areas)
            check(
                bool(np.isfinite(areas).all() and (areas >= 0).all()), "Areas must be finite and not negative.", areas
            )
        _check_mask_sizes(self.masks, self.size)

    def __len__(self) -> int:
        return len(self.boxes)


@dataclasses.dataclass(frozen=True)
class Detections:
    """Holds what was detected in one image.

    Attributes:
        boxes: `[d, 4]`, x1, y1, x2, y2 in continuous pixels of the original image.
        scores: `[d]`, the confidences. Of equal scores the earlier detection counts as the better one.
        classes: `[d]` whole numbers from 0.
        masks: the d masks, as `masks_to_rle` makes them; `None` if only boxes are detected.

    Raises:
        UsageError: if the numbers of detections differ, or a box or a score is not finite.

    Example:
        >>> len(Detections(np.array([[10.0, 12.0, 50.0, 50.0]]), scores=np.array([0.9]), classes=np.array([3])))
        1
    """

    boxes: np.ndarray
    scores: np.ndarray
    classes: np.ndarray
    masks: Sequence[Rle] | None = None

    def __post_init__(self) -> None:
        _check_boxes("detected", self.boxes)
        _check_classes("detected", self.classes)
        _check_lengths("detections", {name: len(value) for name, value in vars(self).items() if value is not None})
        scores = np.asarray(self.scores)
        check(scores.ndim == 1 and bool(np.isfinite(scores).all()), "Scores must be a row of finite numbers.", scores)
        _check_mask_sizes(self.masks, None)

    def __len__(self) -> int:
        return len(self.boxes)


def check_records(truth: Sequence[TrueObjects], detections: Sequence[Detections], num_classes: int) -> None:
    """Refuses records that do not belong together, because each measure of them would be wrong.

    Args:
        truth: the true objects of each image.
        detections: the detections of each image, in the same order.
        num_classes: the number of classes.

    Raises:
        UsageError: if the numbers of images differ, there is no image, or a class is not below `num_classes`.
    """
    check(
        len(truth) == len(detections) > 0,
        "True objects and detections must belong to the same images, one or more; pass an empty record for an image "
        "without any.",
        f"{len(truth)} and {len(detections)}",
    )
    for records in (truth, detections):
        highest = max((int(np.max(record.classes)) for record in records if len(record)), default=-1)
        check(highest < num_classes, f"Classes must be below the number of classes, {num_classes}.", highest)


def report_absent_classes(values: Sequence[float | None], class_names: Sequence[str] | None) -> None:
    """Names in the log the classes that have no true object, and therefore no average precision.

    Args:
        values: the average precision of each class, `None` for a class without objects.
        class_names: the names of the classes; `None` names them by their numbers.
    """
    absent = [str(class_names[k]) if class_names else str(k) for k, value in enumerate(values) if value is None]
    if absent:
        _log.warning(f"classes without true objects are left out of the mean: {', '.join(absent)}.")


def _check_boxes(kind: str, boxes: np.ndarray) -> None:
    check(np.ndim(boxes) == 2 and np.shape(boxes)[1] == 4, f"The {kind} boxes must be [n, 4].", np.shape(boxes))
    values = np.asarray(boxes)
    check(bool(np.isfinite(values).all()), f"The {kind} boxes must be finite; look for a loss that diverged.", values)
    in_order = (values[:, 2:] >= values[:, :2]).all(axis=1)
    check(bool(in_order.all()), f"The {kind} boxes must have x1 <= x2 and y1 <= y2.", values[~in_order][:1].tolist())


def _check_classes(kind: str, classes: np.ndarray) -> None:
    values = np.asarray(classes)
    whole = values.size == 0 or np.issubdtype(values.dtype, np.integer)
    check(values.ndim == 1 and whole, f"The {kind} classes must be a row of whole numbers.", values)
    check(values.size == 0 or bool(values.min() >= 0), f"The {kind} classes must not be negative.", values)


def _check_lengths(what: str, lengths: dict[str, int]) -> None:
    received = ", ".join(f"{count} {name}" for name, count in lengths.items())
    check(len(set(lengths.values())) == 1, f"All parts of the {what} of an image must be equally many.", received)


def _check_mask_sizes(masks: Sequence[Rle] | None, size: tuple[int, int] | None) -> None:
    sizes = {tuple(map(int, mask["size"])) for mask in masks or ()} | ({tuple(map(int, size))} if size else set())
    check(len(sizes) <= 1, "All masks of an image must have the image's size.", sorted(sizes))
