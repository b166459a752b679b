"""Defines the momentum encoder of MoCo and BYOL: a copy of the encoder whose weights slowly follow the encoder's."""

import math
from collections.abc import Sequence
from typing import Any, get_args

import keras
import tensorflow as tf

from simsiam_tf.config.methods import EMASchedule
from simsiam_tf.distribute import collectives
from simsiam_tf.errors import check_choice
from simsiam_tf.networks.normalization import each_view
from simsiam_tf.networks.tracked import TracksItsVariables


class MomentumEncoder(TracksItsVariables, keras.Model):
    """Holds a copy of the encoder whose weights xi follow the encoder's weights theta: xi <- m xi + (1 - m) theta.

    This is Eq. 2 of MoCo and Sec. 3.1 of BYOL. theta are the trainable weights of the encoder, and xi are those of the
    copy. No gradient reaches xi.

    Batch-norm moving statistics are not averaged: the copy computes its own. In training mode it normalises by the
    batch, as the encoder does.

    Args:
        networks: the networks that the encoder applies to a view, in order: the backbone, the projector.
        **kwargs: further arguments of `keras.Model`.
    """

    def __init__(self, networks: Sequence[keras.Model], **kwargs: Any) -> None:
        super().__init__(name="momentum_encoder", **kwargs)
        self.networks = [_copy(network) for network in networks]
        self.built = True

    def call(self, views: Sequence[tf.Tensor], training: bool = False) -> tuple[tf.Tensor, ...]:
        """Computes z of each view, `[B, d]`, as a constant.

        Args:
            views: the views, `[B, H, W, 3]` each.
            training: whether to normalise by the batch and update the moving statistics.
        """
        for network in self.networks:
            views = each_view(network, views, training)
        return tuple(tf.stop_gradient(z) for z in views)

    def copy(self, networks: Sequence[keras.Model]) -> None:
        """Takes all weights of the encoder, with the moving statistics of its batch norms.

        Args:
            networks: the networks of the encoder, in the order of the constructor.
        """
        for own, network in zip(self.networks, networks, strict=True):
            _assign(own, network)

    def follow(self, networks: Sequence[keras.Model], momentum: tf.Tensor | float) -> None:
        """Moves the weights towards those of the encoder.

        Args:
            networks: the networks of the encoder, in the order of the constructor.
            momentum: m, the weight of the old values.
        """
        theta = [v for network in networks for v in network.variables]
        xi = [v for network in self.networks for v in network.variables]
        pairs = [pair for pair in zip(theta, xi, strict=True) if pair[0].trainable]

        def move(old: tf.Variable, m: tf.Tensor, new: tf.Variable) -> None:
            m = tf.cast(m, old.dtype)
            old.assign(m * old + (1.0 - m) * new)

        collectives.update_each(move, [old for _, old in pairs], [new for new, _ in pairs], value=momentum)


def momentum_at(step: tf.Tensor | int, first: float, total_steps: int, schedule: EMASchedule = "constant") -> tf.Tensor:
    """Computes the momentum m of a step.

    It is constant, or 1 - (1 - first) (cos(pi k / K) + 1) / 2, which rises to 1 (BYOL, Sec. 3.3).

    Args:
        step: k, the number of the step, counted from 0.
        first: m of the first step.
        total_steps: K, the number of steps of the run; not used if m is constant.
        schedule: `constant` or `cosine`.

    Returns:
        A scalar in floatx.
    """
    check_choice("schedule", schedule, get_args(EMASchedule))
    dtype = keras.config.floatx()
    first = tf.constant(first, dtype)
    if schedule == "constant":
        return first
    progress = tf.minimum(tf.cast(step, dtype) / max(1, total_steps), 1.0)
    return 1.0 - (1.0 - first) * (tf.cos(tf.constant(math.pi, dtype) * progress) + 1.0) / 2.0


def _copy(network: keras.Model) -> keras.Model:
    """Copies a network and its weights."""
    with keras.name_scope("momentum_encoder"):  # so that the copy's variables have paths of their own
        copy = type(network).from_config(network.get_config())
        if not copy.built:
            copy.build(network.input_shape)
    _assign(copy, network)
    for variable in copy.variables:
        variable.trainable = False  # not the layers: Keras' own batch norm would switch to inference mode
    return copy


def _assign(copy: keras.Model, network: keras.Model) -> None:
    for variable, value in zip(copy.variables, network.variables, strict=True):
        variable.assign(value)
