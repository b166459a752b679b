"""SimSiam (paper Sec. 3, Alg. 1)."""

import keras
import tensorflow as tf

from simsiam_tf.backbones import feature_dim
from simsiam_tf.evaluation.metrics import scaled_std
from simsiam_tf.heads import make_predictor, make_projector
from simsiam_tf.losses.simsiam import simsiam_loss
from simsiam_tf.methods.base import SSLModel
from simsiam_tf.normalization import each_view


class SimSiam(SSLModel):
    """Two views, one encoder, a predictor on one side and a stop-gradient on the other.

    Args:
        backbone: a built `keras.Model` from images `[B, H, W, 3]` to features `[B, D]`.
        projector_dim: d of z and p.
        projector_layers: dense layers of the projector: 3, or 2 on CIFAR-10 (App. D).
        projector_hidden_dim: width of the projector's hidden layers; by default D.
        predictor_dim: width of the predictor's hidden layer: d / 4 in the paper.
        bn_placement: where the heads have batch norm (Table 3); see `make_projector`.
        stop_gradient: `False` shows the collapse (Sec. 4.1).
    """

    log_names = ("z_std_scaled",)

    def __init__(
        self,
        backbone: keras.Model,
        projector_dim: int = 2048,
        projector_layers: int = 3,
        projector_hidden_dim: int | None = None,
        predictor_dim: int = 512,
        bn_placement: str = "release",
        stop_gradient: bool = True,
        **kwargs,
    ):
        super().__init__(backbone, **kwargs)
        self.projector = make_projector(
            feature_dim(backbone), projector_dim, projector_layers, projector_hidden_dim, bn_placement
        )
        self.predictor = make_predictor(projector_dim, predictor_dim, bn_placement)
        self.stop_gradient = stop_gradient
        self.build()

    def compute_ssl_loss(self, batch, training):
        z1, z2 = each_view(self.projector, self.features(batch, training), training)  # [B, d]
        p1, p2 = each_view(self.predictor, (z1, z2), training)  # [B, d]
        loss = tf.reduce_mean(simsiam_loss(p1, p2, z1, z2, self.stop_gradient))
        return loss, {"z_std_scaled": (scaled_std(z1) + scaled_std(z2)) / 2}

    def encode(self, views, training=False):
        """z = f(x) of each view x, the projector after the backbone: `[B, H, W, 3]` to `[B, d]` each."""
        return each_view(self.projector, each_view(self.backbone, views, training), training)
