"""Finds the objects in all images of a set, and measures the average precision."""

import dataclasses
from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
import tensorflow as tf

from simsiam_tf.data.objects.annotations import AnnotatedImages, Objects
from simsiam_tf.data.objects.masks import draw_masks
from simsiam_tf.data.objects.pipeline import evaluation_batches
from simsiam_tf.data.objects.resize import Recipe
from simsiam_tf.detection.c4 import Detector
from simsiam_tf.detection.canvas import on_canvas
from simsiam_tf.detection.detections import rescale
from simsiam_tf.detection.masks import paste_masks
from simsiam_tf.detection.scores.coco_ap import coco_ap
from simsiam_tf.detection.scores.masks import masks_to_rle
from simsiam_tf.detection.scores.percent import in_percent
from simsiam_tf.detection.scores.records import Detections, Rle, TrueObjects
from simsiam_tf.detection.scores.voc_ap import voc_ap
from simsiam_tf.errors import check
from simsiam_tf.features import metrics
from simsiam_tf.progress import Progress

Metric = Literal["coco", "voc07", "voc12"]
# The number of pixels of the masks that are drawn at a time.
_PASTED = 1 << 25


@dataclasses.dataclass(frozen=True)
class Measured:
    """Holds the detections in a set of images, and how good they are.

    Attributes:
        found: the detections in each image that could be read, by its position.
        scores: percentages by name: `box_ap`, `box_ap50`, `box_ap75`, and with masks `mask_ap` and so on; `None` where
            there is nothing to measure.
        per_class: the `box_ap` of each class, percent or `None`.
    """

    found: dict[int, Detections]
    scores: dict[str, float | None]
    per_class: list[float | None]


def measure(
    detector: Detector,
    annotated: AnnotatedImages,
    recipe: Recipe,
    metric: Metric,
    batch_size: int = 1,
    verbose: bool = False,
) -> Measured:
    """Finds the objects in all images, and measures the average precision of boxes and masks.

    Args:
        detector: the detector.
        annotated: the images, with the class numbers of the detector.
        recipe: how images are resized.
        metric: `coco`, or `voc07` and `voc12` for boxes as Pascal VOC measures them.
        batch_size: the number of images in a batch.
        verbose: whether to show the progress.

    Raises:
        FloatingPointError: if a score is not finite.
    """
    found: dict[int, Detections] = {}
    with Progress(f"Detecting in {annotated.source.name}", len(annotated), "image", shown=verbose) as progress:
        for position, detections in detect_all(detector, annotated, recipe, batch_size):
            found[position] = detections
            progress.add(1)
    return scored(found, annotated, metric, detector.mask_head is not None and annotated.has_masks)


def detect_all(
    detector: Detector, annotated: AnnotatedImages, recipe: Recipe, batch_size: int = 1
) -> Iterator[tuple[int, Detections]]:
    """Finds the objects in all images that can be read.

    Args:
        detector: the detector.
        annotated: the images.
        recipe: how images are resized.
        batch_size: the number of images in a batch.

    Yields:
        The position of an image, and its detections in pixels of the image as it is.
    """
    detect = _detector_of_levels(detector, batch_size)
    for batch in evaluation_batches(annotated, recipe, batch_size):
        index = batch["index"].numpy()
        images, sizes = (_filled_up(batch[name], batch_size) for name in ("images", "sizes"))
        found, masks = detect(images, sizes)
        metrics.finite(found.scores.numpy(), "score of a detection")
        wanted = np.ones([batch_size, 2], np.int64)
        wanted[: len(index)] = annotated.sizes[index]
        boxes = rescale(tf.cast(found.boxes, tf.float64), sizes, tf.constant(wanted))
        for i, position in enumerate(index.tolist()):
            of_image = (boxes[i], found.scores[i], found.classes[i], None if masks is None else masks[i])
            yield position, _record(*of_image, size=annotated.sizes[position].tolist())


def _detector_of_levels(detector: Detector, batch_size: int) -> Any:
    """Compiles the detection in batches of uint8 images of any size."""
    signature = tf.TensorSpec([batch_size, None, None, 3], tf.uint8), tf.TensorSpec([batch_size, 2], tf.int32)

    @tf.function(input_signature=signature, autograph=False)
    def detect(images: tf.Tensor, sizes: tf.Tensor) -> Any:
        return detector.detect(on_canvas(images, sizes), sizes)

    return detect


def _filled_up(batch: tf.Tensor, length: int) -> tf.Tensor:
    """Lengthens the last batch by copies of its first image."""
    missing = length - batch.shape[0]
    return tf.concat([batch, tf.repeat(batch[:1], missing, axis=0)], axis=0) if missing else batch


def _record(
    boxes: tf.Tensor, scores: tf.Tensor, classes: tf.Tensor, masks: tf.Tensor | None, size: list[int]
) -> Detections:
    """Makes the record of the detections in an image, without boxes that have no area there."""
    corners = boxes.numpy()
    there = (classes.numpy() >= 0) & np.all(corners[:, 2:] > corners[:, :2], axis=1)
    drawn = None
    if masks is not None:
        drawn = _pasted(tf.cast(masks[there], tf.float32), tf.cast(boxes[there], tf.float32), size)
    scores, classes = scores.numpy()[there], classes.numpy()[there]
    return Detections(corners[there], scores.astype(np.float64), classes.astype(np.int64), drawn)


def _pasted(masks: tf.Tensor, boxes: tf.Tensor, size: list[int]) -> list[Rle]:
    """Puts masks into the image, some at a time: all at once would take gigabytes for a large photograph."""
    each, drawn = max(1, _PASTED // (size[0] * size[1])), []
    for start in range(0, len(masks), each):
        pasted = paste_masks(masks[start : start + each], boxes[start : start + each], *size)
        drawn += masks_to_rle(pasted.numpy() >= 0.5)
    return drawn


def scored(found: dict[int, Detections], annotated: AnnotatedImages, metric: Metric, masks: bool) -> Measured:
    """Measures the average precision of detections.

    Args:
        found: the detections in each image, by its position. Images that are not among them could not be read.
        annotated: the images.
        metric: `coco`, `voc07` or `voc12`.
        masks: whether to measure masks too.
    """
    check(bool(found), "An image to evaluate on must be one that can be read.", annotated.source.name)
    positions = sorted(found)
    truth = [true_objects(annotated.objects[i], masks) for i in positions]
    detections, classes = [found[i] for i in positions], len(annotated.classes)
    if metric == "coco":
        kinds: tuple[Literal["box", "mask"], ...] = ("box", "mask") if masks else ("box",)
        results = {kind: coco_ap(truth, detections, classes, kind, annotated.classes) for kind in kinds}
    else:
        points: Literal["11_point", "area"] = "11_point" if metric == "voc07" else "area"
        results = {"box": voc_ap(truth, detections, classes, points, annotated.classes)}
    values = in_percent(results)
    scores = {f"{kind}_{name.lower()}": of[name] for kind, of in values.items() for name in ("AP", "AP50", "AP75")}
    return Measured(found, scores, values["box"]["ap_per_class"])


def true_objects(objects: Objects, masks: bool) -> TrueObjects:
    """Makes the record of the true objects in an image.

    Args:
        objects: the objects.
        masks: whether their masks are needed.
    """
    drawn = None
    if masks and objects.masks is not None and objects.size is not None:
        drawn = masks_to_rle(draw_masks(objects.masks, objects.size, objects.size).astype(bool))
    return TrueObjects(
        boxes=objects.boxes,
        classes=objects.classes,
        crowd=objects.crowd,
        difficult=objects.difficult,
        areas=objects.areas,
        masks=drawn,
        size=objects.size,
    )
