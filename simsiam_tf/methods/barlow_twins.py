"""Barlow Twins (Zbontar et al. 2021): not of the paper; the example of a method that is added."""

import keras

from simsiam_tf.distribute import collectives
from simsiam_tf.losses.barlow_twins import barlow_twins_loss
from simsiam_tf.methods.base import SSLModel
from simsiam_tf.networks import feature_dim
from simsiam_tf.networks.heads import make_projector
from simsiam_tf.networks.normalization import each_view


class BarlowTwins(SSLModel):
    """Two views, one encoder; the channels of one view's z correlate each with its own of the other's, and no other.

    Args:
        backbone: a built `keras.Model` from images `[B, H, W, 3]` to features `[B, D]`.
        projector_dim: d of z.
        projector_layers: dense layers of the projector.
        projector_hidden_dim: width of the projector's hidden layers; 0: D.
        redundancy_weight: lambda.
    """

    def __init__(
        self,
        backbone: keras.Model,
        projector_dim: int = 8192,
        projector_layers: int = 3,
        projector_hidden_dim: int = 8192,
        redundancy_weight: float = 0.005,
        **kwargs,
    ):
        super().__init__(backbone, **kwargs)
        # Batch norm without scale and offset on its output is what the loss takes z through.
        self.projector = make_projector(
            feature_dim(backbone), projector_dim, projector_layers, projector_hidden_dim, "release"
        )
        self.redundancy_weight = redundancy_weight
        self.build()

    def compute_ssl_loss(self, batch, training):
        z = each_view(self.projector, self.features(batch, training), training)  # [B, d] each
        return barlow_twins_loss(*z, self.redundancy_weight, collectives.all_reduce_mean), self.logs(z)
