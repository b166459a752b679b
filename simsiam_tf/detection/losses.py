"""Computes the five losses of Mask R-CNN: two of the proposals, two of the boxes, one of the masks."""

import tensorflow as tf

from simsiam_tf.detection.boxes import OF_BOX_HEAD, OF_PROPOSALS, Weights, encode
from simsiam_tf.detection.matching import BACKGROUND, FOREGROUND


def proposal_losses(
    logits: tf.Tensor, deltas: tf.Tensor, anchors: tf.Tensor, labels: tf.Tensor, objects: tf.Tensor, count: int
) -> tuple[tf.Tensor, tf.Tensor]:
    """Computes the losses of the region proposal network (Faster R-CNN, Eq. 1, with |x| for the smooth L1).

    Args:
        logits: the score of each anchor, `[B, A]`.
        deltas: the predicted move of each anchor, `[B, A, 4]`.
        anchors: boxes, `[A, 4]`.
        labels: 1 for anchors on objects, 0 for background, -1 for anchors that are not sampled, `[B, A]`.
        objects: the box of the object of each anchor, `[B, A, 4]`; of any value where there is none.
        count: the number of anchors to sample in an image, by which both losses are divided, also where there are
            fewer.

    Returns:
        The binary cross-entropy and the error of the boxes, two scalars.
    """
    is_object, is_background = labels == FOREGROUND, labels == BACKGROUND
    entropy = tf.nn.sigmoid_cross_entropy_with_logits(labels=tf.cast(is_object, logits.dtype), logits=logits)
    total = tf.cast(tf.shape(logits)[0] * count, logits.dtype)
    of_scores = tf.reduce_sum(tf.where(is_object | is_background, entropy, 0.0)) / total
    start = tf.broadcast_to(anchors, tf.shape(deltas))
    return of_scores, _box_error(deltas, start, objects, is_object, OF_PROPOSALS) / total


def box_losses(
    scores: tf.Tensor, deltas: tf.Tensor, regions: tf.Tensor, classes: tf.Tensor, objects: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Computes the losses of the box head (Fast R-CNN, Sec. 2.3, with |x| for the smooth L1).

    Args:
        scores: the logit of each class, background last, `[R, K + 1]`.
        deltas: the predicted move for each class, `[R, 4 K]`, the coordinates of a class one after another.
        regions: the boxes that are moved, `[R, 4]`.
        classes: the class of each region, K for background, `[R]`.
        objects: the box of the object of each region, `[R, 4]`; of any value for background.

    Returns:
        The mean cross-entropy, and the error of the boxes divided by the number of all regions; two scalars.
    """
    number = deltas.shape[-1] // 4
    of_scores = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=classes, logits=scores))
    by_class = tf.reshape(deltas, [-1, number, 4])
    own = tf.gather(by_class, tf.minimum(classes, number - 1), batch_dims=1)  # [R, 4]
    error = _box_error(own, regions, objects, classes < number, OF_BOX_HEAD)
    return of_scores, error / tf.cast(tf.shape(scores)[0], error.dtype)


def mask_loss(
    logits: tf.Tensor, classes: tf.Tensor, targets: tf.Tensor, counted: tf.Tensor, count: tf.Tensor
) -> tf.Tensor:
    """Computes the binary cross-entropy of the masks of the regions' own classes (Mask R-CNN, Sec. 3).

    Args:
        logits: a mask for each class, `[R, M, M, K]`.
        classes: the class of each region, `[R]`.
        targets: 0 and 1, `[R, M, M]`.
        counted: whether each region is an object, `[R] bool`; the others are left out.
        count: the number of objects to divide by.

    Returns:
        The mean over objects and pixels, a scalar; 0 without objects.
    """
    number, side = logits.shape[-1], logits.shape[1]
    own = tf.gather(tf.transpose(logits, [0, 3, 1, 2]), tf.minimum(classes, number - 1), batch_dims=1)  # [R, M, M]
    entropy = tf.nn.sigmoid_cross_entropy_with_logits(labels=tf.cast(targets, own.dtype), logits=own)
    total = tf.reduce_sum(tf.where(counted[:, tf.newaxis, tf.newaxis], entropy, 0.0))
    return tf.math.divide_no_nan(total, tf.cast(count, total.dtype) * side * side)


def _box_error(
    deltas: tf.Tensor, start: tf.Tensor, objects: tf.Tensor, counted: tf.Tensor, weights: Weights
) -> tf.Tensor:
    """Sums the absolute errors of deltas over the marked boxes."""
    counted = counted[..., tf.newaxis]
    # Where there is no object, the target is replaced before its logarithm is taken: an infinite one would reach the
    # gradient as 0 times infinity. A box of an image without padding has a positive size.
    wanted = encode(tf.where(counted, start, _UNIT), tf.where(counted, objects, _UNIT), weights)
    return tf.reduce_sum(tf.where(counted, tf.abs(deltas - tf.stop_gradient(wanted)), 0.0))


_UNIT = (0.0, 0.0, 1.0, 1.0)
