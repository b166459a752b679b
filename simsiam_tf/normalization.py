"""The one batch-norm layer: PyTorch's arithmetic, synchronised over replicas, fused where that is possible.

Keras' own layer differs from the reference in three ways that change the numbers (momentum 0.99,
epsilon 1e-3, a biased moving variance) and in two that cost time (no fused kernel, three all-reduces
per call), so this is a layer of our own.
"""

import keras
import tensorflow as tf

from simsiam_tf import distribute

BN_MOMENTUM = 0.9
BN_EPSILON = 1e-5


@keras.saving.register_keras_serializable(package="simsiam_tf")
class BatchNormalization(keras.layers.Layer):
    """Batch normalisation over all axes but the last, with statistics of the whole global batch.

    Each call is one view: its batch statistics are its own, and the moving statistics are updated by
    view 1, then by view 2, as in the reference (paper Sec. 4.4; batch norm is synchronised in Sec. 4.1).

    Args:
        affine: whether there are a trainable scale (gamma) and offset (beta).
        zero_gamma: start the scale at 0, for the last layer of a residual block.
        bn_momentum: weight of the old moving statistics in each update.
        epsilon: added to the variance.
    """

    def __init__(
        self,
        affine: bool = True,
        zero_gamma: bool = False,
        bn_momentum: float = BN_MOMENTUM,
        epsilon: float = BN_EPSILON,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.affine = affine
        self.zero_gamma = zero_gamma
        self.bn_momentum = bn_momentum
        self.epsilon = epsilon

    def build(self, input_shape) -> None:
        def weight(name, initializer, trainable):
            # autocast=False: statistics and affine parameters stay in float32 under mixed precision.
            return self.add_weight(
                shape=(input_shape[-1],),
                name=name,
                initializer=initializer,
                trainable=trainable,
                autocast=False,
                aggregation="mean" if trainable else "only_first_replica",
            )

        self.gamma = weight("gamma", "zeros" if self.zero_gamma else "ones", True) if self.affine else None
        self.beta = weight("beta", "zeros", True) if self.affine else None
        self.moving_mean = weight("moving_mean", "zeros", False)
        self.moving_variance = weight("moving_variance", "ones", False)

    def call(self, x: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Normalises `x`.

        Args:
            x: `[B, ..., C]`.
            training: normalise by the batch and update the moving statistics; else by the latter.

        Returns:
            `[B, ..., C]` in the layer's compute dtype.
        """
        if not training:
            return self._normalize(x, self.moving_mean, self.moving_variance)
        # FusedBatchNormV3 has no float64 and cannot see the other replicas.
        if distribute.num_replicas() == 1 and x.dtype != tf.float64:
            return self._fused(x)
        return self._synchronized(x)

    def _fused(self, x):
        channels = x.shape[-1]
        x4 = x if x.shape.rank == 4 else tf.reshape(x, [-1, 1, 1, channels])
        y, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=x4,
            scale=tf.convert_to_tensor(self.gamma) if self.affine else tf.ones([channels]),
            offset=tf.convert_to_tensor(self.beta) if self.affine else tf.zeros([channels]),
            mean=tf.zeros([0]),
            variance=tf.zeros([0]),
            epsilon=self.epsilon,
            is_training=True,
        )
        self._update_moving(mean, variance)  # the kernel returns the unbiased variance already
        return y if x.shape.rank == 4 else tf.reshape(y, tf.shape(x))

    def _synchronized(self, x):
        axes = list(range(x.shape.rank - 1))
        wide = tf.cast(x, self.variable_dtype)
        mean, variance = tf.nn.moments(wide, axes)  # [C], [C]
        count = tf.cast(tf.size(x) // x.shape[-1], self.variable_dtype) * distribute.num_replicas()
        if distribute.num_replicas() > 1:
            # One packed all-reduce: the global variance is the mean of the local ones plus that of the means.
            packed = distribute.all_reduce_mean(tf.stack([mean, variance + tf.square(mean)]))
            mean, variance = packed[0], tf.maximum(packed[1] - tf.square(packed[0]), 0.0)
        self._update_moving(mean, variance * count / tf.maximum(count - 1.0, 1.0))
        return self._normalize(x, mean, variance)

    def _update_moving(self, mean, unbiased_variance):
        keep = self.bn_momentum
        self.moving_mean.assign(keep * self.moving_mean + (1.0 - keep) * mean)
        self.moving_variance.assign(keep * self.moving_variance + (1.0 - keep) * unbiased_variance)

    def _normalize(self, x, mean, variance):
        scale = tf.math.rsqrt(tf.convert_to_tensor(variance) + self.epsilon)
        if self.affine:
            scale = scale * tf.convert_to_tensor(self.gamma)
        offset = -tf.convert_to_tensor(mean) * scale
        if self.affine:
            offset = offset + tf.convert_to_tensor(self.beta)
        return tf.cast(tf.cast(x, self.variable_dtype) * scale + offset, self.compute_dtype)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        own = {name: getattr(self, name) for name in ("affine", "zero_gamma", "bn_momentum", "epsilon")}
        return {**super().get_config(), **own}
