"""Defines SimSiam (paper Sec. 3, Alg. 1), with every variant of its ablations (Sec. 4 and 5)."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from simsiam_tf.config.methods import BNPlacement, Predictor, Similarity, SimSiamConfig, Symmetry
from simsiam_tf.losses.simsiam import SIMILARITIES, simsiam_loss
from simsiam_tf.methods.base import SSLModel
from simsiam_tf.methods.simsiam_targets import Targets, make_targets
from simsiam_tf.networks import feature_dim
from simsiam_tf.networks.heads import make_predictor, make_projector
from simsiam_tf.networks.normalization import each_view

# Which view's prediction is compared with which view's target (Sec. 4.6).
PAIRS = {"symmetric": ((0, 1), (1, 0)), "asymmetric": ((0, 1),), "asymmetric_2x": ((0, 1), (2, 3))}


class SimSiam(SSLModel):
    """Two views, one encoder, a predictor on one side and a stop-gradient on the other.

    Args:
        backbone: a built `keras.Model` from images `[B, H, W, 3]` to features `[B, D]`.
        projector_dim: d of z and p.
        projector_layers: dense layers of the projector: 3, or 2 on CIFAR-10 (App. D).
        projector_hidden_dim: width of the projector's hidden layers; 0: D.
        predictor: `mlp`, or `identity` or `fixed` (Table 1); see `make_predictor`.
        predictor_dim: width of the predictor's hidden layer: d / 4 in the paper.
        bn_placement: where the heads have batch norm (Table 3); see `make_projector`.
        stop_gradient: `False` shows the collapse (Sec. 4.1).
        similarity: `cosine` or `cross_entropy` (Sec. 4.5).
        symmetry: `symmetric`, `asymmetric`, or `asymmetric_2x` with two pairs of views of each image (Sec. 4.6).
        alternation_steps: SGD steps that use targets computed before the first of them, or `epoch` (Sec. 5.2).
        eta_momentum: of targets that are a moving average over epochs (Sec. 5.2), whose first one is of the untrained
            network; 0: none.

    Example:
        >>> import simsiam_tf
        >>> backbone = simsiam_tf.resnet18(cifar_stem=True, width=0.125)
        >>> model = simsiam_tf.SimSiam(backbone, projector_dim=64, predictor_dim=16)
        >>> model.compile(simsiam_tf.SGD(0.05))  # then model.fit on pairs of views
    """

    config_class = SimSiamConfig
    targets: Targets

    def __init__(
        self,
        backbone: keras.Model,
        projector_dim: int = 2048,
        projector_layers: int = 3,
        projector_hidden_dim: int = 0,
        predictor: Predictor = "mlp",
        predictor_dim: int = 512,
        bn_placement: BNPlacement = "release",
        stop_gradient: bool = True,
        similarity: Similarity = "cosine",
        symmetry: Symmetry = "symmetric",
        alternation_steps: int | str = 1,
        eta_momentum: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(backbone, **kwargs)
        self.projector = make_projector(
            feature_dim(backbone), projector_dim, projector_layers, projector_hidden_dim, bn_placement
        )
        self.predictor = make_predictor(projector_dim, predictor_dim, bn_placement, predictor)
        self.projector_dim, self.stop_gradient = projector_dim, stop_gradient
        self.distance, self.pairs = SIMILARITIES[similarity], PAIRS[symmetry]
        steps = self.steps_of(1) if alternation_steps == "epoch" else int(alternation_steps)
        self.targets = make_targets(steps, eta_momentum, eta_first_steps=self.steps_per_epoch)
        self.build()

    def compute_ssl_loss(self, batch: dict[str, Any], training: bool) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """Computes L = D(p1, z2) / 2 + D(p2, z1) / 2, or a variant of it; see `SSLModel.compute_ssl_loss`."""
        # Ordinarily, pairs = ((0, 1), (1, 0)) and eta = z: L = D(p1, z2)/2 + D(p2, z1)/2 (Eq. 4, Alg. 1).
        z = each_view(self.projector, self.features(batch, training), training)  # z1, z2 = f(x1), f(x2)
        p = each_view(self.predictor, [z[i] for i, _ in self.pairs], training)  # p1, p2 = h(z1), h(z2)
        eta = self.targets(batch, z) if training else z
        targets = [eta[j] for _, j in self.pairs]  # z2, z1
        loss = tf.reduce_mean(simsiam_loss(p, targets, self.distance, self.stop_gradient))
        return loss, self.logs(z)

    def encode(self, views: Sequence[tf.Tensor], training: bool = False) -> tuple[tf.Tensor, ...]:
        """Computes z = f(x) of each view x, the projector after the backbone: `[B, H, W, 3]` to `[B, d]` each."""
        return each_view(self.projector, each_view(self.backbone, views, training), training)
