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
    """Trains an encoder to predict, from one view of an image, its own output for the other view (paper Sec. 3).

    The prediction passes through a predictor, and the target through a stop-gradient.

    Args:
        backbone: a built `keras.Model` from images `[B, H, W, 3]` to features `[B, D]`.
        projector_dim: d, the width of z and of p.
        projector_layers: the number of dense layers of the projector: 3, or 2 on CIFAR-10 (App. D).
        projector_hidden_dim: the width of the hidden layers of the projector; 0 makes it D.
        predictor: the kind of predictor: `mlp`, `identity` or `fixed` (Table 1); see `make_predictor`.
        predictor_dim: the width of the hidden layer of the predictor: d / 4 in the paper.
        bn_placement: the batch norm of the heads, by the rows of Table 3; see `make_projector`.
        stop_gradient: whether the targets are constants; if `False`, training collapses (Sec. 4.1).
        similarity: the similarity D in the loss: `cosine` or `cross_entropy` (Sec. 4.5).
        symmetry: the predictions in the loss (Sec. 4.6): `symmetric`, of both views; `asymmetric`, of view 1 only;
            `asymmetric_2x`, of the first view in each of two pairs of views.
        alternation_steps: the number of SGD steps whose targets are computed together before the first of them, or
            `epoch` (Sec. 5.2); 1 is SimSiam.
        eta_momentum: the weight of the old target in a moving average over epochs (Sec. 5.2); with 0 there is no
            average.

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
        self.chance_loss = 0.0 if similarity == "cosine" else None
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
        return loss, self.logs(batch, z)

    def encode(self, views: Sequence[tf.Tensor], training: bool = False) -> tuple[tf.Tensor, ...]:
        """Computes z = f(x) of each view x, the projector after the backbone: `[B, H, W, 3]` to `[B, d]` each."""
        return each_view(self.projector, each_view(self.backbone, views, training), training)
