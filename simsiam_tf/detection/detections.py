"""Turns the output of the box head into detections (Faster R-CNN; Mask R-CNN, Sec. 3.1, 'Inference')."""

import math
from typing import NamedTuple

import tensorflow as tf

from simsiam_tf.config.detector import DetectorConfig
from simsiam_tf.detection.boxes import OF_BOX_HEAD, clip, decode
from simsiam_tf.detection.nms import best_first, nms


class Detections(NamedTuple):
    """Holds what was found in some images, the best first.

    Attributes:
        boxes: boxes in pixels, `[B, D, 4]`; zeros where there is none.
        scores: probabilities, `[B, D]`; zeros where there is none, and NaN in an image for which the detector computed
            a number that is not finite.
        classes: the class of each, `[B, D] int32`; -1 where there is none.
        regions: the position of the region of each, `[B, D] int32`.
    """

    boxes: tf.Tensor
    scores: tf.Tensor
    classes: tf.Tensor
    regions: tf.Tensor


def detections(
    scores: tf.Tensor,
    deltas: tf.Tensor,
    regions: tf.Tensor,
    live: tf.Tensor,
    sizes: tf.Tensor,
    config: DetectorConfig,
) -> Detections:
    """Selects detections: each region for each class, with a score above the threshold and no better one at its place.

    Args:
        scores: the logit of each class, background last, `[B, R, K + 1]`.
        deltas: the predicted move for each class, `[B, R, 4 K]`.
        regions: boxes, `[B, R, 4]`.
        live: whether there is a region, `[B, R] bool`.
        sizes: height and width of each image, `[B, 2]`.
        config: the settings of the detector.
    """
    classes, batch = scores.shape[-1] - 1, tf.shape(scores)[0]
    probabilities = tf.nn.softmax(scores)[..., :classes]
    flat = tf.reshape(
        probabilities, [batch, -1]
    )  # region by region, so that of equal scores the first region goes first
    is_candidate = (probabilities > config.score_threshold) & live[..., tf.newaxis]
    # The probabilities of a region sum to 1, so that only so many classes can be above the threshold.
    most = classes if config.score_threshold == 0 else min(classes, math.ceil(1 / config.score_threshold) - 1)
    index, found = best_first(flat, tf.reshape(is_candidate, [batch, -1]), tf.shape(regions)[1] * most)
    region, of_class = index // classes, index % classes
    own = tf.gather(tf.reshape(deltas, [batch, -1, 4]), index, batch_dims=1)
    boxes = decode(tf.gather(regions, region, batch_dims=1), own, OF_BOX_HEAD)
    boxes = clip(boxes, sizes[:, tf.newaxis])
    kept, found = nms(boxes, found, config.detection_nms, config.detections_per_image, of_class)
    boxes, values, of_class, region = (
        tf.gather(x, kept, batch_dims=1) for x in (boxes, tf.gather(flat, index, batch_dims=1), of_class, region)
    )
    # Numbers that are not finite would look as if there were nothing to find.
    sound = tf.reduce_all(tf.math.is_finite(scores), [1, 2]) & tf.reduce_all(tf.math.is_finite(deltas), [1, 2])
    return Detections(
        tf.where(found[..., tf.newaxis], boxes, 0.0),
        tf.where(sound[:, tf.newaxis], tf.where(found, values, 0.0), float("nan")),
        tf.where(found, of_class, -1),
        tf.where(found, region, 0),
    )


def rescale(boxes: tf.Tensor, sizes: tf.Tensor, output_sizes: tf.Tensor) -> tf.Tensor:
    """Scales boxes from the resized image to the image as it was, and clips them there.

    Args:
        boxes: boxes, `[B, D, 4]`.
        sizes: height and width of the resized image, `[B, 2]`.
        output_sizes: height and width of the image as it was, `[B, 2]`.

    Returns:
        Boxes, `[B, D, 4]`.

    Example:
        >>> boxes = tf.constant([[[0.0, 0.0, 4.0, 2.0]]])
        >>> rescale(boxes, tf.constant([[10, 10]]), tf.constant([[20, 10]])).numpy().tolist()
        [[[0.0, 0.0, 4.0, 4.0]]]
    """
    by = tf.cast(output_sizes, boxes.dtype) / tf.cast(sizes, boxes.dtype)  # [B, 2]
    by = tf.stack([by[:, 1], by[:, 0], by[:, 1], by[:, 0]], axis=-1)
    return clip(boxes * by[:, tf.newaxis], output_sizes[:, tf.newaxis])
