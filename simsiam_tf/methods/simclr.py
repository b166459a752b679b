"""Defines SimCLR (Chen et al. 2020), with the variants of the paper's Sec. 6.2."""

from typing import Any

import keras
import tensorflow as tf

from simsiam_tf.config.methods import BNPlacement, Predictor, SimCLRConfig
from simsiam_tf.distribute import collectives
from simsiam_tf.losses.simclr import nt_xent
from simsiam_tf.methods.base import SSLModel
from simsiam_tf.networks import feature_dim
from simsiam_tf.networks.heads import make_predictor, make_projector
from simsiam_tf.networks.normalization import each_view


class SimCLR(SSLModel):
    """Trains an encoder to find the other view of an image among all views in the global batch.

    Args:
        backbone: a built `keras.Model` from images `[B, H, W, 3]` to features `[B, D]`.
        projector_dim: d, the width of z.
        projector_layers: the number of dense layers of the projector: 3 in the paper's Table 4, 2 in SimCLR.
        projector_hidden_dim: the width of the hidden layers of the projector; 0 makes it D.
        bn_placement: batch norm in the heads; see `make_projector`.
        predictor: the kind of predictor, `identity`, or `mlp` (Sec. 6.2); see `make_predictor`.
        predictor_dim: the width of the hidden layer of the predictor.
        stop_gradient: whether the keys are constants (Sec. 6.2).
        temperature: T, the temperature of the softmax.

    Example:
        >>> import simsiam_tf
        >>> backbone = simsiam_tf.resnet18(cifar_stem=True, width=0.125)
        >>> model = simsiam_tf.SimCLR(backbone, projector_dim=64)
        >>> model.compile(simsiam_tf.SGD(0.05))  # then model.fit on pairs of views
    """

    config_class = SimCLRConfig

    def __init__(
        self,
        backbone: keras.Model,
        projector_dim: int = 128,
        projector_layers: int = 3,
        projector_hidden_dim: int = 0,
        bn_placement: BNPlacement = "paper",
        predictor: Predictor = "identity",
        predictor_dim: int = 32,
        stop_gradient: bool = False,
        temperature: float = 0.1,
        **kwargs: Any,
    ) -> None:
        super().__init__(backbone, **kwargs)
        self.projector = make_projector(
            feature_dim(backbone), projector_dim, projector_layers, projector_hidden_dim, bn_placement
        )
        self.predictor = make_predictor(projector_dim, predictor_dim, bn_placement, predictor)
        self.stop_gradient, self.temperature = stop_gradient, temperature
        self.build()

    def compute_ssl_loss(self, batch: dict[str, Any], training: bool) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """Computes NT-Xent over the views of the global batch; see `SSLModel.compute_ssl_loss`."""
        z = each_view(self.projector, self.features(batch, training), training)  # [B, d] each
        p = each_view(self.predictor, z, training)  # p = z, except in the variants of Sec. 6.2
        keys = tf.split(collectives.all_gather(tf.concat(z, axis=1)), 2, axis=1)  # [G, d] each
        first = collectives.replica_id() * tf.shape(z[0])[0]
        loss = tf.reduce_mean(nt_xent(p, keys, self.temperature, first, self.stop_gradient))
        return loss, self.logs(batch, z)
