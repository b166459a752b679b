"""Defines BYOL (Grill et al. 2020), with or without its momentum encoder (the paper's Sec. 4.1 and footnote 2)."""

from typing import Any

import keras
import tensorflow as tf

from simsiam_tf.config.methods import BNPlacement, BYOLConfig, EMASchedule, Predictor
from simsiam_tf.losses.byol import byol_loss
from simsiam_tf.methods.base import SSLModel
from simsiam_tf.networks import feature_dim
from simsiam_tf.networks.heads import make_predictor, make_projector
from simsiam_tf.networks.momentum_encoder import MomentumEncoder, momentum_at
from simsiam_tf.networks.normalization import each_view


class BYOL(SSLModel):
    """Trains an online network to predict the output of a target network for the other view.

    The target network is a moving average of the online network.

    Args:
        backbone: a built `keras.Model` from images `[B, H, W, 3]` to features `[B, D]`.
        projector_dim: d, the width of z and of p.
        projector_layers: the number of dense layers of the projector.
        projector_hidden_dim: the width of the hidden layers of the projector; 0 makes it D.
        bn_placement: batch norm in the heads; see `make_projector`.
        predictor: the kind of predictor, `mlp`, `identity` or `fixed`; see `make_predictor`.
        predictor_dim: the width of the hidden layer of the predictor.
        ema_momentum: m of the target network in the first step. With 0 there is no target network: the targets are z of
            the online network, as constants.
        ema_schedule: the schedule of m: `constant`, or `cosine`, which rises to 1.

    Example:
        >>> import simsiam_tf
        >>> backbone = simsiam_tf.resnet18(cifar_stem=True, width=0.125)
        >>> model = simsiam_tf.BYOL(backbone, projector_dim=64, steps_per_epoch=100, epochs=10)
        >>> model.compile(simsiam_tf.SGD(0.05))  # then model.fit on pairs of views
    """

    config_class = BYOLConfig

    def __init__(
        self,
        backbone: keras.Model,
        projector_dim: int = 256,
        projector_layers: int = 2,
        projector_hidden_dim: int = 4096,
        bn_placement: BNPlacement = "hidden",
        predictor: Predictor = "mlp",
        predictor_dim: int = 4096,
        ema_momentum: float = 0.99,
        ema_schedule: EMASchedule = "cosine",
        **kwargs: Any,
    ) -> None:
        super().__init__(backbone, **kwargs)
        self.chance_loss = 4.0  # 2 - 2 cos for each of two views
        self.projector = make_projector(
            feature_dim(backbone), projector_dim, projector_layers, projector_hidden_dim, bn_placement
        )
        self.predictor = make_predictor(projector_dim, predictor_dim, bn_placement, predictor)
        self.target = MomentumEncoder([self.backbone, self.projector]) if ema_momentum else None
        total_steps = self.steps_of(self.epochs) if ema_momentum and ema_schedule == "cosine" else 0
        self.ema = (ema_momentum, total_steps, ema_schedule)
        self.build()

    def compute_ssl_loss(self, batch: dict[str, Any], training: bool) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """Computes the loss of both predictions against the target network; see `SSLModel.compute_ssl_loss`."""
        z = each_view(self.projector, self.features(batch, training), training)  # [B, d] each
        p = each_view(self.predictor, z, training)
        targets = self.target(batch["views"], training=training) if self.target else z
        return tf.reduce_mean(byol_loss(p, targets)), self.logs(batch, z)

    def after_step(self) -> None:
        """Moves the target network towards the online network (BYOL, Eq. 1)."""
        if self.target:
            momentum = momentum_at(self.optimizer.iterations - 1, *self.ema)
            self.target.follow([self.backbone, self.projector], momentum)

    def after_given_weights(self) -> None:
        """Makes the target network a copy of the online network again."""
        if self.target:
            self.target.copy([self.backbone, self.projector])
