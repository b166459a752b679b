"""Defines Barlow Twins (Zbontar et al. 2021). It is not in the paper, but the worked example of adding a method."""

from typing import Any

import keras
import tensorflow as tf

from simsiam_tf.config.methods import BarlowTwinsConfig
from simsiam_tf.distribute import collectives
from simsiam_tf.losses.barlow_twins import barlow_twins_loss
from simsiam_tf.methods.base import SSLModel
from simsiam_tf.networks import feature_dim
from simsiam_tf.networks.heads import make_projector
from simsiam_tf.networks.normalization import each_view


class BarlowTwins(SSLModel):
    """Trains one encoder so that each channel of z1 correlates with the same channel of z2, and with no other.

    Args:
        backbone: a built `keras.Model` from images `[B, H, W, 3]` to features `[B, D]`.
        projector_dim: d, the width of z.
        projector_layers: the number of dense layers of the projector.
        projector_hidden_dim: the width of the hidden layers of the projector; 0 makes it D.
        redundancy_weight: lambda.

    Example:
        >>> import simsiam_tf
        >>> backbone = simsiam_tf.resnet18(cifar_stem=True, width=0.125)
        >>> model = simsiam_tf.BarlowTwins(backbone, projector_dim=256, projector_hidden_dim=256)
        >>> model.compile(simsiam_tf.SGD(0.05))  # then model.fit on pairs of views
    """

    config_class = BarlowTwinsConfig

    def __init__(
        self,
        backbone: keras.Model,
        projector_dim: int = 8192,
        projector_layers: int = 3,
        projector_hidden_dim: int = 8192,
        redundancy_weight: float = 0.005,
        **kwargs: Any,
    ) -> None:
        super().__init__(backbone, **kwargs)
        # `release` has batch norm without scale and offset on the output, as the loss expects of z.
        self.projector = make_projector(
            feature_dim(backbone), projector_dim, projector_layers, projector_hidden_dim, "release"
        )
        self.redundancy_weight = redundancy_weight
        self.build()

    def compute_ssl_loss(self, batch: dict[str, Any], training: bool) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """Computes the loss of the correlations between z1 and z2; see `SSLModel.compute_ssl_loss`."""
        z1, z2 = each_view(self.projector, self.features(batch, training), training)  # [B, d] each
        loss = barlow_twins_loss(z1, z2, self.redundancy_weight, collectives.all_reduce_mean)
        return loss, self.logs(batch, (z1, z2))
