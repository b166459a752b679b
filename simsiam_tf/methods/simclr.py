"""SimCLR (Chen et al. 2020), with the variants of the paper's Sec. 6.2."""

import keras
import tensorflow as tf

from simsiam_tf.distribute import collectives
from simsiam_tf.losses.simclr import nt_xent
from simsiam_tf.methods.base import SSLModel
from simsiam_tf.networks import feature_dim
from simsiam_tf.networks.heads import make_predictor, make_projector
from simsiam_tf.networks.normalization import each_view


class SimCLR(SSLModel):
    """Two views, one encoder, and every other image of the global batch as a negative.

    Args:
        backbone: a built `keras.Model` from images `[B, H, W, 3]` to features `[B, D]`.
        projector_dim: d of z.
        projector_layers: dense layers of the projector: 3 in the paper's Table 4, 2 in SimCLR.
        projector_hidden_dim: width of the projector's hidden layers; 0: D.
        bn_placement: where the heads have batch norm; see `make_projector`.
        predictor: `identity`, or `mlp` (Sec. 6.2).
        predictor_dim: width of the predictor's hidden layer.
        stop_gradient: treat what is predicted as a constant (Sec. 6.2).
        temperature: T.
    """

    def __init__(
        self,
        backbone: keras.Model,
        projector_dim: int = 128,
        projector_layers: int = 3,
        projector_hidden_dim: int = 0,
        bn_placement: str = "paper",
        predictor: str = "identity",
        predictor_dim: int = 32,
        stop_gradient: bool = False,
        temperature: float = 0.1,
        **kwargs,
    ):
        super().__init__(backbone, **kwargs)
        self.projector = make_projector(
            feature_dim(backbone), projector_dim, projector_layers, projector_hidden_dim, bn_placement
        )
        self.predictor = make_predictor(projector_dim, predictor_dim, bn_placement, predictor)
        self.stop_gradient, self.temperature = stop_gradient, temperature
        self.build()

    def compute_ssl_loss(self, batch, training):
        z = each_view(self.projector, self.features(batch, training), training)  # [B, d] each
        p = each_view(self.predictor, z, training)  # z itself but for the variants of Sec. 6.2
        keys = tf.split(collectives.all_gather(tf.concat(z, axis=1)), 2, axis=1)  # [G, d] each
        first = collectives.replica_id() * tf.shape(z[0])[0]
        loss = tf.reduce_mean(nt_xent(p, keys, self.temperature, first, self.stop_gradient))
        return loss, self.logs(z)
