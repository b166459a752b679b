"""Defines the layers of the detector beside its ResNet: the heads of proposals, boxes and masks."""

from typing import Any

import keras
import tensorflow as tf

from simsiam_tf.losses.common import at_least_float32
from simsiam_tf.networks.tracked import TracksItsVariables

_NORMAL = keras.initializers.RandomNormal


@keras.saving.register_keras_serializable(package="simsiam_tf")
class ProposalHead(TracksItsVariables, keras.layers.Layer):
    """Scores and moves the anchors of each place: a 3x3 convolution, and two of 1x1 (Faster R-CNN, Sec. 3.1).

    Args:
        channels: C, the number of channels of the map.
        anchors: A, the number of anchors at a place.
        **kwargs: further arguments of `keras.layers.Layer`.
    """

    def __init__(self, channels: int, anchors: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.channels, self.anchors = channels, anchors
        options = {"kernel_initializer": _NORMAL(stddev=0.01)}
        self.conv = keras.layers.Conv2D(channels, 3, padding="same", name="proposal_conv", **options)
        self.scores = keras.layers.Conv2D(anchors, 1, name="proposal_scores", **options)
        self.deltas = keras.layers.Conv2D(4 * anchors, 1, name="proposal_deltas", **options)
        for layer in (self.conv, self.scores, self.deltas):
            layer.build((None, None, None, channels))
        self.built = True

    def call(self, features: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Maps `[B, H, W, C]` to scores `[B, H W A]` and deltas `[B, H W A, 4]`, in at least float32."""
        hidden, batch = tf.nn.relu(self.conv(features)), tf.shape(features)[0]
        scores, deltas = at_least_float32(self.scores(hidden)), at_least_float32(self.deltas(hidden))
        return tf.reshape(scores, [batch, -1]), tf.reshape(deltas, [batch, -1, 4])

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor, for serialisation."""
        return {**super().get_config(), "channels": self.channels, "anchors": self.anchors}


@keras.saving.register_keras_serializable(package="simsiam_tf")
class BoxHead(TracksItsVariables, keras.layers.Layer):
    """Names the class of a region, and moves its box for each class (Fast R-CNN, Sec. 2.1).

    Args:
        features: D, the number of features of a region.
        classes: K, the number of classes.
        **kwargs: further arguments of `keras.layers.Layer`.
    """

    def __init__(self, features: int, classes: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.features, self.classes = features, classes
        self.scores = keras.layers.Dense(classes + 1, kernel_initializer=_NORMAL(stddev=0.01), name="box_scores")
        self.deltas = keras.layers.Dense(4 * classes, kernel_initializer=_NORMAL(stddev=0.001), name="box_deltas")
        for layer in (self.scores, self.deltas):
            layer.build((None, features))
        self.built = True

    def call(self, maps: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Maps `[R, h, w, D]` to logits `[R, K + 1]`, background last, and deltas `[R, 4 K]`, in at least float32."""
        features = tf.reduce_mean(maps, axis=[1, 2])
        return at_least_float32(self.scores(features)), at_least_float32(self.deltas(features))

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor, for serialisation."""
        return {**super().get_config(), "features": self.features, "classes": self.classes}


@keras.saving.register_keras_serializable(package="simsiam_tf")
class MaskHead(TracksItsVariables, keras.layers.Layer):
    """Draws a mask for each class: a transposed convolution, and one of 1x1 (Mask R-CNN, Fig. 4 left).

    Args:
        features: D, the number of channels of the map.
        channels: the number of channels inside.
        classes: K, the number of classes.
        **kwargs: further arguments of `keras.layers.Layer`.
    """

    def __init__(self, features: int, channels: int, classes: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.features, self.channels, self.classes = features, channels, classes
        he = keras.initializers.VarianceScaling(2.0, "fan_out", "untruncated_normal")
        self.upsample = keras.layers.Conv2DTranspose(
            channels, 2, strides=2, kernel_initializer=he, name="mask_upsample"
        )
        self.logits = keras.layers.Conv2D(classes, 1, kernel_initializer=_NORMAL(stddev=0.001), name="mask_logits")
        self.upsample.build((None, None, None, features))
        self.logits.build((None, None, None, channels))
        self.built = True

    def call(self, maps: tf.Tensor) -> tf.Tensor:
        """Maps `[R, h, w, D]` to logits `[R, 2 h, 2 w, K]`, in at least float32."""
        return at_least_float32(self.logits(tf.nn.relu(self.upsample(maps))))

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor, for serialisation."""
        own = {"features": self.features, "channels": self.channels, "classes": self.classes}
        return {**super().get_config(), **own}
