"""Defines SwAV (Caron et al. 2020), with the prototypes and the variants of the paper's Sec. 6.2."""

from typing import Any

import keras
import tensorflow as tf

from simsiam_tf.config.methods import BNPlacement, Predictor, PrototypeNorm, SwAVConfig
from simsiam_tf.distribute import collectives
from simsiam_tf.losses.common import normalize
from simsiam_tf.losses.swav import sinkhorn, swapped_prediction
from simsiam_tf.methods.base import SSLModel
from simsiam_tf.methods.queue import put_into_queue
from simsiam_tf.networks import feature_dim
from simsiam_tf.networks.heads import make_predictor, make_projector, make_prototypes
from simsiam_tf.networks.normalization import each_view


class SwAV(SSLModel):
    """Trains an encoder to predict the code of one view from the other view.

    A code is a soft assignment to prototypes.

    Codes divide the images evenly among the prototypes. Views beyond the first two, of any size (multi-crop), predict
    both codes and have none themselves.

    Args:
        backbone: a built `keras.Model` from images `[B, H, W, 3]` to features `[B, D]`.
        projector_dim: d, the width of z.
        projector_layers: the number of dense layers of the projector: 3 in the paper's Table 4, 2 in SwAV.
        projector_hidden_dim: the width of the hidden layers of the projector; 0 makes it D.
        bn_placement: batch norm in the heads; see `make_projector`.
        predictor: the kind of predictor, `identity`, or `mlp` (Sec. 6.2); see `make_predictor`.
        predictor_dim: the width of the hidden layer of the predictor.
        stop_gradient: whether the codes are constants; otherwise training diverges (Sec. 6.2).
        temperature: T of the predicted assignments.
        num_prototypes: K, the number of prototypes.
        prototype_norm: how prototypes get length 1: in the loss, with its `gradient`, or `outside`, after each step.
        freeze_prototypes_epochs: the number of epochs before the prototypes are trained.
        sinkhorn_epsilon: the weight of the entropy of the codes; smaller makes harder codes.
        sinkhorn_iterations: the number of iterations of Sinkhorn-Knopp.
        queue_size: the number of images of earlier batches whose z are used when codes are computed; 0 for no queue.
        queue_from_epoch: the number of epochs before the queue is used.

    Example:
        >>> import simsiam_tf
        >>> backbone = simsiam_tf.resnet18(cifar_stem=True, width=0.125)
        >>> model = simsiam_tf.SwAV(backbone, num_prototypes=100, steps_per_epoch=100)
        >>> model.compile(simsiam_tf.SGD(0.05))  # then model.fit on pairs of views
    """

    config_class = SwAVConfig

    def __init__(
        self,
        backbone: keras.Model,
        projector_dim: int = 128,
        projector_layers: int = 3,
        projector_hidden_dim: int = 0,
        bn_placement: BNPlacement = "hidden",
        predictor: Predictor = "identity",
        predictor_dim: int = 32,
        stop_gradient: bool = True,
        temperature: float = 0.1,
        num_prototypes: int = 3000,
        prototype_norm: PrototypeNorm = "gradient",
        freeze_prototypes_epochs: float = 1,
        sinkhorn_epsilon: float = 0.05,
        sinkhorn_iterations: int = 3,
        queue_size: int = 0,
        queue_from_epoch: float = 15,
        **kwargs: Any,
    ) -> None:
        super().__init__(backbone, **kwargs)
        self.projector = make_projector(
            feature_dim(backbone), projector_dim, projector_layers, projector_hidden_dim, bn_placement
        )
        self.predictor = make_predictor(projector_dim, predictor_dim, bn_placement, predictor)
        self.prototypes = make_prototypes(projector_dim, num_prototypes)
        self.temperature, self.stop_gradient = temperature, stop_gradient
        self.sinkhorn: dict[str, Any] = {"epsilon": sinkhorn_epsilon, "iterations": sinkhorn_iterations}
        self.trained_from = self.steps_of(freeze_prototypes_epochs)
        self.normalized_outside = prototype_norm == "outside"
        if self.normalized_outside:
            _to_length_1(self.prototypes.kernel)
        self.queue = None
        if queue_size:
            self.queue_from = self.steps_of(queue_from_epoch)
            shape = (queue_size, 2, projector_dim)
            self.queue = self.add_weight(shape, "zeros", trainable=False, name="queue", **collectives.SAME_EVERYWHERE)
        self.build()

    def compute_ssl_loss(self, batch: dict[str, Any], training: bool) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """Computes the swapped prediction of codes, and puts z into the queue in training."""
        of_all = each_view(self.projector, self.features(batch, training), training)  # [B, d] each
        p = each_view(self.predictor, of_all, training)  # p = z, except in the variants of Sec. 6.2
        z, c = [normalize(view) for view in of_all[:2]], self._prototypes()
        codes = [self._codes(view, i, c) for i, view in enumerate(z)]
        predictions = [tf.matmul(normalize(view), c) for view in p]
        loss = swapped_prediction(predictions, codes, self.temperature, self.stop_gradient)
        if training and self.queue is not None:
            newest = tf.stop_gradient(tf.stack(z, axis=1))  # [B, 2, d]
            put_into_queue(self.queue, tf.cast(collectives.all_gather(newest), self.queue.dtype))
        return tf.reduce_mean(loss), self.logs(batch, z)

    def _prototypes(self) -> tf.Tensor:
        """Returns the prototypes c, of length 1 each: `[d, K]`."""
        c = tf.convert_to_tensor(self.prototypes.kernel)
        c = tf.where(self.optimizer.iterations < self.trained_from, tf.stop_gradient(c), c)
        return c if self.normalized_outside else tf.transpose(normalize(tf.transpose(c)))

    def _codes(self, z: tf.Tensor, view: int, c: tf.Tensor) -> tf.Tensor:
        """Computes the codes q `[B, K]` of z `[B, d]` of one view, whose rows have length 1."""
        options = {**self.sinkhorn, "all_sum": collectives.all_reduce_sum}
        if self.queue is None:
            return sinkhorn(tf.matmul(z, c), **options)
        # Use only filled queue rows. Every replica holds the same queue, so only replica 0 contributes it to the sums.
        earlier = tf.cast(self.queue[:, view], z.dtype)
        counts = (self.optimizer.iterations >= self.queue_from) & tf.equal(collectives.replica_id(), 0)
        used = tf.reduce_any(earlier != 0, axis=1) & counts
        weights = tf.concat([tf.ones_like(z[:, 0]), tf.cast(used, z.dtype)], axis=0)
        q = sinkhorn(tf.matmul(tf.concat([z, earlier], axis=0), c), weights=weights, **options)
        return q[: tf.shape(z)[0]]

    def after_step(self) -> None:
        """Scales the prototypes to length 1, if that is not done in the loss."""
        if self.normalized_outside:
            collectives.update_each(lambda kernel, _: _to_length_1(kernel), [self.prototypes.kernel])


def _to_length_1(kernel: keras.Variable | tf.Variable) -> None:
    """Scales each column of a kernel to length 1."""
    kernel.assign(tf.transpose(normalize(tf.transpose(tf.convert_to_tensor(kernel)))))
