"""Turns the output of the proposal head into regions, and chooses those that a step trains on."""

from typing import NamedTuple

import tensorflow as tf

from simsiam_tf.augment.threefry import fold_in, uniform
from simsiam_tf.config.detector import DetectorConfig
from simsiam_tf.detection.boxes import OF_PROPOSALS, are_larger, clip, decode, iou
from simsiam_tf.detection.matching import BACKGROUND, FOREGROUND, IGNORED, match, sample_labels, sampled_first
from simsiam_tf.detection.nms import best_first, nms

# Limits of the IoU: of anchors (Faster R-CNN, Sec. 3.1.2) and of regions (Fast R-CNN, Sec. 2.3).
_ANCHORS = (0.3, 0.7), (BACKGROUND, IGNORED, FOREGROUND)
_REGIONS = (0.5,), (BACKGROUND, FOREGROUND)
# Numbers of the random draws of an image.
_OF_ANCHORS, _OF_REGIONS = 0, 1


class Proposals(NamedTuple):
    """Holds the proposals of some images, the best first.

    Attributes:
        boxes: boxes, `[B, P, 4]`; zeros where there is none.
        live: whether there is a proposal, `[B, P] bool`.
        anchors: the position of the anchor of each, `[B, P] int32`.
    """

    boxes: tf.Tensor
    live: tf.Tensor
    anchors: tf.Tensor


class Objects(NamedTuple):
    """Holds the objects in some images.

    Attributes:
        boxes: boxes, `[B, G, 4]`.
        classes: the class of each object, -1 where there is none, `[B, G] int32`.
    """

    boxes: tf.Tensor
    classes: tf.Tensor

    def overlaps(self, boxes: tf.Tensor) -> tf.Tensor:
        """Computes the IoU with other boxes, `[B or 1, N, 4]` to `[B, G, N]`; -1 in the rows without an object."""
        return tf.where((self.classes >= 0)[..., tf.newaxis], iou(self.boxes, boxes), -1.0)


class Sampled(NamedTuple):
    """Holds what a step trains on.

    The regions of all images are in one list, those of the first image first.

    Attributes:
        anchor_labels: 1 for anchors on objects, 0 for background, -1 for the others, `[B, A] int32`.
        anchor_objects: the box of the object of each anchor, `[B, A, 4]`.
        regions: the regions of each image, B tensors `[R, 4]`.
        classes: the class of each region, K for background, `[B R] int32`.
        objects: the box of the object of each region, `[B R, 4]`.
        masked: the positions, in the list of regions, of those that the mask head gets, `[F] int32`.
        masks: for each of these the position of its object's mask among those of all images, `[F] int32`.
        images: for each of these the number of its image, `[F] int32`.
    """

    anchor_labels: tf.Tensor
    anchor_objects: tf.Tensor
    regions: list[tf.Tensor]
    classes: tf.Tensor
    objects: tf.Tensor
    masked: tf.Tensor
    masks: tf.Tensor
    images: tf.Tensor


def propose(
    logits: tf.Tensor, deltas: tf.Tensor, anchors: tf.Tensor, sizes: tf.Tensor, config: DetectorConfig, training: bool
) -> Proposals:
    """Selects the best regions, without those that overlap a better one. No gradient flows through them.

    Args:
        logits: the score of each anchor, `[B, A]`.
        deltas: the predicted move of each anchor, `[B, A, 4]`.
        anchors: boxes, `[A, 4]`.
        sizes: height and width of each image, `[B, 2]`.
        config: the settings of the detector.
        training: whether to select as many as training takes.
    """
    logits, deltas = tf.stop_gradient(logits), tf.stop_gradient(deltas)
    which = 0 if training else 1
    before = tf.minimum(config.proposals_before_nms[which], tf.shape(anchors)[0])
    index, live = best_first(logits, tf.math.is_finite(logits), before)
    boxes = decode(tf.gather(anchors, index), tf.gather(deltas, index, batch_dims=1), OF_PROPOSALS)
    boxes = clip(boxes, sizes[:, tf.newaxis])
    live &= are_larger(boxes, 0.0) & tf.reduce_all(tf.math.is_finite(boxes), axis=-1)
    kept, found = nms(boxes, live, config.proposal_nms, config.proposals_after_nms[which])
    boxes = tf.where(found[..., tf.newaxis], tf.gather(boxes, kept, batch_dims=1), 0.0)
    return Proposals(boxes, found, tf.gather(index, kept, batch_dims=1))


def sample(
    proposals: Proposals, objects: Objects, anchors: tf.Tensor, keys: tf.Tensor, classes: int, config: DetectorConfig
) -> Sampled:
    """Chooses the anchors and the regions that a step trains on, as a function of the images' keys.

    The objects themselves are candidates too. Each image gives the same number of regions, objects first.

    Args:
        proposals: the proposals of each image.
        objects: the objects of each image.
        anchors: boxes, `[A, 4]`.
        keys: the key of the random numbers of each image, `[B, 2] uint32`.
        classes: K, the number of classes, which stands for background.
        config: the settings of the detector.
    """
    index, labels = match(objects.overlaps(anchors[tf.newaxis]), *_ANCHORS, every_object=True)
    draws = uniform(fold_in(keys, _OF_ANCHORS), tf.shape(anchors)[0])
    anchor_labels = sample_labels(labels, draws, config.anchors_per_image, 0.5)
    anchor_objects = tf.gather(objects.boxes, index, batch_dims=1)

    boxes = tf.concat([proposals.boxes, objects.boxes], axis=1)
    is_candidate = tf.concat([proposals.live, objects.classes >= 0], axis=1)
    index, labels = match(objects.overlaps(boxes), *_REGIONS)
    labels = tf.where(is_candidate, labels, IGNORED)
    draws = uniform(fold_in(keys, _OF_REGIONS), tf.shape(boxes)[1])
    labels = sample_labels(labels, draws, config.rois_per_image, config.foreground_rois)
    chosen = sampled_first(labels, config.rois_per_image)  # [B, R]
    regions, index, labels = (tf.gather(x, chosen, batch_dims=1) for x in (boxes, index, labels))
    of_object = tf.gather(objects.classes, index, batch_dims=1)

    batch, count = keys.shape[0], config.rois_per_image
    first = tf.range(int(count * config.foreground_rois))[tf.newaxis]
    images = tf.range(batch)[:, tf.newaxis]
    masked = tf.reshape(images * count + first, [-1])
    masks = tf.reshape(images * tf.shape(objects.boxes)[1] + index[:, : first.shape[1]], [-1])
    return Sampled(
        anchor_labels,
        anchor_objects,
        tf.unstack(regions),
        classes=tf.reshape(tf.where(labels == FOREGROUND, of_object, classes), [-1]),
        objects=tf.reshape(tf.gather(objects.boxes, index, batch_dims=1), [-1, 4]),
        masked=masked,
        masks=masks,
        images=masked // count,
    )
