"""Normalises images that lie on a canvas, which is as large as the largest of them."""

import keras
import tensorflow as tf

from simsiam_tf.augment import ops


def on_canvas(images: tf.Tensor, sizes: tf.Tensor) -> tf.Tensor:
    """Normalises images as the backbone was pre-trained on them, with zeros around them.

    Args:
        images: levels of images at the top left of their canvas, `[B, H, W, 3] uint8`.
        sizes: height and width of each image, `[B, 2] int32`; the rest of the canvas is set to 0, the mean of the
            normalised pixels.

    Returns:
        `[B, H, W, 3]`, in Keras' floatx.

    Example:
        >>> on_canvas(tf.zeros([1, 4, 4, 3], tf.uint8), tf.constant([[4, 2]]))[0, 0, :, 0].numpy().round().tolist()
        [-2.0, -2.0, 0.0, 0.0]
    """
    dtype = keras.config.floatx()
    mean, std = (tf.constant(x, dtype) for x in (ops.IMAGENET_MEAN, ops.IMAGENET_STD))
    normalised = (tf.cast(images, dtype) / 255.0 - mean) / std
    rows = tf.range(tf.shape(images)[1]) < sizes[:, :1]  # [B, H]
    columns = tf.range(tf.shape(images)[2]) < sizes[:, 1:]
    inside = rows[:, :, tf.newaxis] & columns[:, tf.newaxis]
    return tf.where(inside[..., tf.newaxis], normalised, 0.0)
