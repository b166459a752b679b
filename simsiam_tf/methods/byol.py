"""BYOL (Grill et al. 2020), with and without its momentum encoder (the paper's Sec. 4.1 and footnote 2)."""

import keras
import tensorflow as tf

from simsiam_tf.losses.byol import byol_loss
from simsiam_tf.methods.base import SSLModel
from simsiam_tf.networks import feature_dim
from simsiam_tf.networks.heads import make_predictor, make_projector
from simsiam_tf.networks.momentum_encoder import MomentumEncoder, momentum_at
from simsiam_tf.networks.normalization import each_view


class BYOL(SSLModel):
    """Two views; the online network's predictor predicts what the target network, its moving average, makes of them.

    Args:
        backbone: a built `keras.Model` from images `[B, H, W, 3]` to features `[B, D]`.
        projector_dim: d of z and p.
        projector_layers: dense layers of the projector.
        projector_hidden_dim: width of the projector's hidden layers; 0: D.
        bn_placement: where the heads have batch norm; see `make_projector`.
        predictor: `mlp`, or `identity` or `fixed`; see `make_predictor`.
        predictor_dim: width of the predictor's hidden layer.
        ema_momentum: m of the target network in the first step; 0: no target network, the online one's own z, as
            constants, are the targets.
        ema_schedule: `constant`, or `cosine` to 1.
    """

    def __init__(
        self,
        backbone: keras.Model,
        projector_dim: int = 256,
        projector_layers: int = 2,
        projector_hidden_dim: int = 4096,
        bn_placement: str = "hidden",
        predictor: str = "mlp",
        predictor_dim: int = 4096,
        ema_momentum: float = 0.99,
        ema_schedule: str = "cosine",
        **kwargs,
    ):
        super().__init__(backbone, **kwargs)
        self.projector = make_projector(
            feature_dim(backbone), projector_dim, projector_layers, projector_hidden_dim, bn_placement
        )
        self.predictor = make_predictor(projector_dim, predictor_dim, bn_placement, predictor)
        self.target = MomentumEncoder([self.backbone, self.projector]) if ema_momentum else None
        total_steps = self.steps_of(self.epochs) if ema_momentum and ema_schedule == "cosine" else 0
        self.ema = (ema_momentum, total_steps, ema_schedule)
        self.build()

    def compute_ssl_loss(self, batch, training):
        z = each_view(self.projector, self.features(batch, training), training)  # [B, d] each
        p = each_view(self.predictor, z, training)
        targets = self.target(batch["views"], training=training) if self.target else z
        return tf.reduce_mean(byol_loss(p, targets)), self.logs(z)

    def after_step(self):
        if self.target:
            momentum = momentum_at(self.optimizer.iterations - 1, *self.ema)
            self.target.follow([self.backbone, self.projector], momentum)
