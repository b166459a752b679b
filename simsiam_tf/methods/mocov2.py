"""Defines MoCo v2 (He et al. 2020, Chen et al. 2020), with the symmetric loss of the paper's Sec. 6.1."""

from typing import Any

import keras
import tensorflow as tf

from simsiam_tf.config.methods import BNPlacement, EMASchedule, MoCoV2Config
from simsiam_tf.distribute import collectives
from simsiam_tf.losses.common import normalize
from simsiam_tf.losses.mocov2 import mocov2_loss
from simsiam_tf.methods.base import SSLModel
from simsiam_tf.methods.queue import put_into_queue
from simsiam_tf.networks import feature_dim
from simsiam_tf.networks.heads import make_projector
from simsiam_tf.networks.momentum_encoder import MomentumEncoder, momentum_at
from simsiam_tf.networks.normalization import each_view


class MoCoV2(SSLModel):
    """Trains an encoder whose query of a view must match the key of the other view, and no key of earlier batches.

    A momentum encoder computes the keys, and a queue keeps those of earlier batches.

    MoCo shuffles images over devices, so that batch norm tells a query nothing about its key. Here batch norm is
    synchronised instead, which prevents less: a query and its key share the statistics of one batch, and the keys of
    the queue do not.

    Args:
        backbone: a built `keras.Model` from images `[B, H, W, 3]` to features `[B, D]`.
        projector_dim: d, the width of queries and keys.
        projector_layers: the number of dense layers of the projector.
        projector_hidden_dim: the width of the hidden layers of the projector; 0 makes it D.
        bn_placement: batch norm in the projector: `none` in MoCo v2; see `make_projector`.
        temperature: T, the temperature of the softmax.
        ema_momentum: m of the momentum encoder in the first step.
        ema_schedule: the schedule of m: `constant`, or `cosine`, which rises to 1.
        queue_size: K, the number of keys in the queue. Each image adds two, one for each view.

    Example:
        >>> import simsiam_tf
        >>> backbone = simsiam_tf.resnet18(cifar_stem=True, width=0.125)
        >>> model = simsiam_tf.MoCoV2(backbone, projector_dim=64, queue_size=1024)
        >>> model.compile(simsiam_tf.SGD(0.05))  # then model.fit on pairs of views
    """

    config_class = MoCoV2Config

    def __init__(
        self,
        backbone: keras.Model,
        projector_dim: int = 128,
        projector_layers: int = 2,
        projector_hidden_dim: int = 0,
        bn_placement: BNPlacement = "none",
        temperature: float = 0.2,
        ema_momentum: float = 0.999,
        ema_schedule: EMASchedule = "constant",
        queue_size: int = 65536,
        **kwargs: Any,
    ) -> None:
        super().__init__(backbone, **kwargs)
        self.projector = make_projector(
            feature_dim(backbone), projector_dim, projector_layers, projector_hidden_dim, bn_placement
        )
        self.momentum_encoder = MomentumEncoder([self.backbone, self.projector])
        # It begins with random directions, as in MoCo.
        self.queue = self.add_weight(
            (queue_size, projector_dim), "random_normal", trainable=False, name="queue", **collectives.SAME_EVERYWHERE
        )
        self.queue.assign(normalize(tf.convert_to_tensor(self.queue)))
        total_steps = self.steps_of(self.epochs) if ema_schedule == "cosine" else 0
        self.temperature, self.ema = temperature, (ema_momentum, total_steps, ema_schedule)
        self.build()

    def compute_ssl_loss(self, batch: dict[str, Any], training: bool) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """Computes InfoNCE of both views against the queue, and puts their keys into it in training."""
        q = each_view(self.projector, self.features(batch, training), training)  # [B, d] each
        k = self.momentum_encoder(batch["views"], training=training)  # [B, d] each
        loss = tf.reduce_mean(mocov2_loss(q, k, tf.convert_to_tensor(self.queue), self.temperature))
        if training:
            # The newest keys come first. They are those of every replica, so that all have the same queue.
            newest = collectives.all_gather(tf.cast(tf.concat([normalize(view) for view in k], 1), self.queue.dtype))
            newest = tf.reshape(newest, [-1, self.queue.shape[1]])  # [2 G, d]
            put_into_queue(self.queue, newest)
        return loss, self.logs(batch, q)

    def after_step(self) -> None:
        """Moves the momentum encoder towards the encoder (MoCo, Eq. 2)."""
        momentum = momentum_at(self.optimizer.iterations - 1, *self.ema)
        self.momentum_encoder.follow([self.backbone, self.projector], momentum)

    def after_given_weights(self) -> None:
        """Makes the momentum encoder a copy of the encoder again."""
        self.momentum_encoder.copy([self.backbone, self.projector])
