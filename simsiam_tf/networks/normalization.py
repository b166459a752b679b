"""Defines the batch norm of all networks: PyTorch's arithmetic, synchronised over replicas, with a fast kernel on one.

Keras' own layer differs from the reference in three ways that change the numbers: momentum 0.99, epsilon 1e-3, and a
biased moving variance. It is also slower: it has no fused kernel, and needs three all-reduces for each call.
"""

import contextlib
import contextvars
import itertools
import logging
import weakref
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import tensorflow as tf

from simsiam_tf.distribute import collectives
from simsiam_tf.errors import names_its_options

_log = logging.getLogger(__name__)

BN_MOMENTUM = 0.9
BN_EPSILON = 1e-5

# The number of views in the batch that a network is being applied to; they follow each other along the first axis. Each
# replica is traced in its own thread, so each has its own value.
_VIEWS = contextvars.ContextVar("views", default=1)
# Whether the moving statistics are updated in training mode.
_MOVING = contextvars.ContextVar("moving", default=True)
# Whether an update that is not finite is left out.
_ONLY_FINITE = contextvars.ContextVar("only_finite", default=True)
# The layers that a warning has named.
_NAMED: weakref.WeakSet[keras.layers.Layer] = weakref.WeakSet()


@contextlib.contextmanager
def keeping_moving_statistics() -> Iterator[None]:
    """Stops networks in training mode from updating their moving statistics, inside a `with` block."""
    token = _MOVING.set(False)
    try:
        yield
    finally:
        _MOVING.reset(token)


@contextlib.contextmanager
def showing_bad_statistics() -> Iterator[None]:
    """Lets moving statistics take in what is not finite inside a `with` block, so that the caller can refuse it."""
    token = _ONLY_FINITE.set(False)
    try:
        yield
    finally:
        _ONLY_FINITE.reset(token)


def each_view(network: keras.Model, views: Sequence[tf.Tensor], training: bool) -> tuple[tf.Tensor, ...]:
    """Applies a network to each view. In training mode, batch norm computes the statistics of each view separately.

    On one replica there is one pass for each view, as in the reference. On several replicas, consecutive views of one
    shape share a pass, so that each batch norm sends the statistics of all views in one all-reduce. The numbers are the
    same either way. Keras' own batch norm is made to synchronise its statistics too.

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
    if training and collectives.num_replicas() > 1:
        _synchronize_others(network)
    if not training or collectives.num_replicas() == 1 or not _knows_views(network):
        return tuple(network(view, training=training) for view in views)
    token = _VIEWS.set(len(views))
    try:
        return tuple(tf.split(network(tf.concat(views, axis=0), training=True), len(views)))
    finally:
        _VIEWS.reset(token)


def _synchronize_others(network: keras.Model) -> None:
    """Makes Keras' batch norm compute its statistics over all replicas, and warns of other layers with statistics."""
    for layer in network._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.synchronized = True
        elif hasattr(layer, "moving_mean") and not isinstance(layer, BatchNormalization) and layer not in _NAMED:
            _NAMED.add(layer)
            _log.warning(
                "The layer %r is a batch norm from outside Keras: each of the %d replicas may take the statistics of "
                "its own images. Use keras.layers.BatchNormalization, or one device (--cpu_devices=1).",
                layer.name,
                collectives.num_replicas(),
            )


def _knows_views(network: keras.Model) -> bool:
    """Returns whether our batch norm is the only layer of a network that mixes the images of a batch.

    Layers from outside Keras and this package might mix them, so the answer is false if there is one. Functions of
    `keras.ops` in a functional model are not checked; they are assumed not to mix images.
    """
    layers = list(network._flatten_layers())
    known = all(type(layer).__module__.startswith(("keras.", "simsiam_tf.")) for layer in layers)
    mixing = keras.layers.BatchNormalization, keras.layers.SpectralNormalization, keras.layers.Lambda
    return known and not any(isinstance(layer, mixing) for layer in layers)


@keras.saving.register_keras_serializable(package="simsiam_tf")
@names_its_options
class BatchNormalization(keras.layers.Layer):
    """Normalises over all axes but the last, with the statistics of the whole global batch (paper Sec. 3).

    A call gets one view or, inside `each_view`, several. Each view is normalised by its own statistics. The moving
    statistics are updated by view 1 and then by view 2, as in the reference.

    Args:
        affine: whether the layer has a trainable scale (gamma) and offset (beta).
        zero_gamma: whether the scale starts at 0, as in the last layer of a residual block (paper App. A).
        bn_momentum: the weight of the old moving statistics in each update.
        epsilon: the number that is added to the variance.
        **kwargs: further arguments of `keras.layers.Layer`.

    Example:
        norm = BatchNormalization()
        y = norm(x, training=True)  # [B, H, W, C] to [B, H, W, C]
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
        """Makes gamma and beta, if the layer is affine, and the moving statistics, `[C]` each."""

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
            training: whether to normalise by the statistics of the batch and update the moving statistics. Otherwise
                the layer normalises by the moving statistics.

        Returns:
            `[B, ..., C]` in the layer's compute dtype.
        """
        if not training:
            return self._normalize(x, self.moving_mean, self.moving_variance)
        # The fused kernel has no float64, and no statistics of other replicas.
        if collectives.num_replicas() == 1 and x.dtype != tf.float64:
            return self._fused(x)
        return self._synchronized(x, _VIEWS.get())

    def _fused(self, x: tf.Tensor) -> tf.Tensor:
        """Normalises one view on one replica, by TensorFlow's fused kernel."""
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
        """Normalises each of some views by its statistics over all replicas."""
        wide = tf.reshape(tf.cast(x, self.variable_dtype), [views, -1, x.shape[-1]])  # [V, n, C]
        mean, variance = tf.nn.moments(wide, [1])  # [V, C]
        count = tf.cast(tf.shape(wide)[1] * collectives.num_replicas(), self.variable_dtype)
        if collectives.num_replicas() > 1:
            # There is one packed all-reduce: the global variance is the mean of the local variances plus the variance
            # of the local means. The moving mean, which is the same on all replicas, is subtracted from the means
            # first, so that a large mean costs no precision.
            origin = tf.stop_gradient(tf.convert_to_tensor(self.moving_mean))
            packed = collectives.all_reduce_mean(tf.stack([mean - origin, variance + tf.square(mean - origin)]))
            mean, variance = packed[0] + origin, tf.maximum(packed[1] - tf.square(packed[0]), 0.0)
        self._update_moving(tf.unstack(mean), tf.unstack(variance * count / tf.maximum(count - 1.0, 1.0)))
        y = self._normalize(wide, mean[:, tf.newaxis], variance[:, tf.newaxis])
        return tf.reshape(y, tf.shape(x))

    def _update_moving(self, means: list[tf.Tensor], unbiased_variances: list[tf.Tensor]) -> None:
        """Moves the moving statistics towards those of each view in turn, unless these are not finite."""
        if not _MOVING.get():
            return
        for moving, views in ((self.moving_mean, means), (self.moving_variance, unbiased_variances)):
            value = tf.convert_to_tensor(moving)
            for statistics in views:
                value = self.bn_momentum * value + (1.0 - self.bn_momentum) * statistics
            moving.assign(tf.where(tf.math.is_finite(value), value, moving) if _ONLY_FINITE.get() else value)

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
        """Returns the shape of the output, which is that of the input."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor, for serialisation."""
        own = {name: getattr(self, name) for name in ("affine", "zero_gamma", "bn_momentum", "epsilon")}
        return {**super().get_config(), **own}
