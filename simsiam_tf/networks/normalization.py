"""The one batch-norm layer: PyTorch's arithmetic, synchronised over replicas, fused where that is possible.

Keras' own layer differs from the reference in three ways that change the numbers: momentum 0.99, epsilon 1e-3, and a
biased moving variance. It also costs time: no fused kernel, and three all-reduces for each call.
"""

import contextlib
import contextvars
import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import tensorflow as tf

from simsiam_tf.distribute import collectives

BN_MOMENTUM = 0.9
BN_EPSILON = 1e-5

# The number of views that lie one after another in the batch that the networks are being applied to. Each replica is
# traced in a thread, and so has a value of its own.
_VIEWS = contextvars.ContextVar("views", default=1)
# Whether moving statistics move in training mode.
_MOVING = contextvars.ContextVar("moving", default=True)


@contextlib.contextmanager
def keeping_moving_statistics() -> Iterator[None]:
    """Has networks in training mode leave their moving statistics as they are."""
    token = _MOVING.set(False)
    try:
        yield
    finally:
        _MOVING.reset(token)


def each_view(network: keras.Model, views: Sequence[tf.Tensor], training: bool) -> tuple[tf.Tensor, ...]:
    """Applies a network to each view. In training, batch norm takes its statistics from each view alone.

    On one replica that is a pass for each view, as in the reference. On several replicas consecutive views of one shape
    share a pass, so that each batch norm sends the statistics of all of them in one all-reduce; the numbers are the
    same.

    Args:
        network: a model from `[B, ...]` to `[B, ...]`.
        views: the views, `[B, ...]` each.
        training: whether to run in training mode.

    Returns:
        The output for each view, `[B, ...]` each.
    """
    alike = [list(group) for _, group in itertools.groupby(views, lambda view: view.shape[1:].as_list())]
    if len(alike) > 1:
        return tuple(out for group in alike for out in each_view(network, group, training))
    if not training or collectives.num_replicas() == 1 or not _knows_views(network):
        return tuple(network(view, training=training) for view in views)
    token = _VIEWS.set(len(views))
    try:
        return tuple(tf.split(network(tf.concat(views, axis=0), training=True), len(views)))
    finally:
        _VIEWS.reset(token)


def _knows_views(network: keras.Model) -> bool:
    """Returns whether nothing in a network mixes the images of a batch, except our batch norm.

    A layer from outside of Keras and this package might. Functions of `keras.ops` in a functional model are not looked
    at; they are taken to keep images apart.
    """
    layers = list(network._flatten_layers())
    known = all(type(layer).__module__.startswith(("keras.", "simsiam_tf.")) for layer in layers)
    mixing = keras.layers.BatchNormalization, keras.layers.SpectralNormalization, keras.layers.Lambda
    return known and not any(isinstance(layer, mixing) for layer in layers)


@keras.saving.register_keras_serializable(package="simsiam_tf")
class BatchNormalization(keras.layers.Layer):
    """Normalises over all axes but the last, with statistics of the whole global batch (paper Sec. 4.1).

    A call is given one view or, inside `each_view`, all of them. Each view is normalised by its own statistics, and
    the moving statistics are updated by view 1, then by view 2, as in the reference (Sec. 4.4).

    Args:
        affine: whether there are a trainable scale (gamma) and offset (beta).
        zero_gamma: whether the scale starts at 0, for the last layer of a residual block.
        bn_momentum: the weight of the old moving statistics in each update.
        epsilon: a number added to the variance.
    """

    def __init__(
        self,
        affine: bool = True,
        zero_gamma: bool = False,
        bn_momentum: float = BN_MOMENTUM,
        epsilon: float = BN_EPSILON,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.affine = affine
        self.zero_gamma = zero_gamma
        self.bn_momentum = bn_momentum
        self.epsilon = epsilon

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        def weight(name: str, initializer: str, trainable: bool) -> keras.Variable:
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
            x: the input, `[B, ..., C]`.
            training: whether to normalise by the batch, and update the moving statistics, or by the moving statistics.

        Returns:
            `[B, ..., C]` in the layer's compute dtype.
        """
        if not training:
            return self._normalize(x, self.moving_mean, self.moving_variance)
        # The fused kernel has no float64 and cannot see the other replicas.
        if collectives.num_replicas() == 1 and x.dtype != tf.float64:
            return self._fused(x)
        return self._synchronized(x, _VIEWS.get())

    def _fused(self, x: tf.Tensor) -> tf.Tensor:
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
        self._update_moving([mean], [variance])  # the kernel returns the unbiased variance already
        return y if x.shape.rank == 4 else tf.reshape(y, tf.shape(x))

    def _synchronized(self, x: tf.Tensor, views: int) -> tf.Tensor:
        wide = tf.reshape(tf.cast(x, self.variable_dtype), [views, -1, x.shape[-1]])  # [V, n, C]
        mean, variance = tf.nn.moments(wide, [1])  # [V, C]
        count = tf.cast(tf.shape(wide)[1] * collectives.num_replicas(), self.variable_dtype)
        if collectives.num_replicas() > 1:
            # One packed all-reduce: the global variance is the mean of the local variances plus the variance of the
            # local means. Means are measured from the moving mean, which all replicas share: a large mean costs no
            # digits.
            origin = tf.stop_gradient(tf.convert_to_tensor(self.moving_mean))
            packed = collectives.all_reduce_mean(tf.stack([mean - origin, variance + tf.square(mean - origin)]))
            mean, variance = packed[0] + origin, tf.maximum(packed[1] - tf.square(packed[0]), 0.0)
        self._update_moving(tf.unstack(mean), tf.unstack(variance * count / tf.maximum(count - 1.0, 1.0)))
        y = self._normalize(wide, mean[:, tf.newaxis], variance[:, tf.newaxis])
        return tf.reshape(y, tf.shape(x))

    def _update_moving(self, means: list[tf.Tensor], unbiased_variances: list[tf.Tensor]) -> None:
        """Moves the moving statistics towards those of each view in turn."""
        if not _MOVING.get():
            return
        for moving, views in ((self.moving_mean, means), (self.moving_variance, unbiased_variances)):
            value = tf.convert_to_tensor(moving)
            for statistics in views:
                value = self.bn_momentum * value + (1.0 - self.bn_momentum) * statistics
            moving.assign(value)

    def _normalize(
        self, x: tf.Tensor, mean: tf.Tensor | keras.Variable, variance: tf.Tensor | keras.Variable
    ) -> tf.Tensor:
        scale = tf.math.rsqrt(tf.convert_to_tensor(variance) + self.epsilon)
        if self.affine:
            scale = scale * tf.convert_to_tensor(self.gamma)
        offset = -tf.convert_to_tensor(mean) * scale
        if self.affine:
            offset = offset + tf.convert_to_tensor(self.beta)
        return tf.cast(tf.cast(x, self.variable_dtype) * scale + offset, self.compute_dtype)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        own = {name: getattr(self, name) for name in ("affine", "zero_gamma", "bn_momentum", "epsilon")}
        return {**super().get_config(), **own}
