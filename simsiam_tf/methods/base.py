"""What the methods share: one model class and the only training step."""

from collections.abc import Mapping

import keras
import tensorflow as tf

from simsiam_tf import distribute
from simsiam_tf.backbones import feature_dim


class SSLModel(keras.Model):
    """A self-supervised method around a backbone.

    A method implements `compute_ssl_loss` and, where it keeps state besides its weights, `after_step`.
    Every variable exists once the constructor returns, so nothing is built lazily inside `fit`.

    Args:
        backbone: a built `keras.Model` from images `[B, H, W, 3]` to features `[B, D]`.
    """

    # What `compute_ssl_loss` puts into its logs; averaged over an epoch like the loss.
    log_names: tuple[str, ...] = ()

    def __init__(self, backbone: keras.Model, **kwargs):
        super().__init__(**kwargs)
        self.backbone = backbone
        self.trackers = {name: keras.metrics.Mean(name=name) for name in ("loss", *self.log_names)}

    @property
    def feature_dim(self) -> int:
        """D, the width of the backbone's features."""
        return feature_dim(self.backbone)

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        return list(self.trackers.values())

    def build(self, input_shape=None) -> None:
        self.built = True

    def call(self, images, training=False):
        """The features of normalised images: `[B, H, W, 3]` to `[B, D]`."""
        return self.backbone(images, training=training)

    def compute_ssl_loss(self, batch: Mapping, training: bool) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """The loss of one batch.

        Args:
            batch: `views`, a tuple of float images `[B, H, W, 3]`, and from our own pipeline `index`, the
                `[B]` int64 positions of the images in the data set.
            training: run in training mode.

        Returns:
            The mean loss, a scalar, and a dictionary with a scalar for each of `log_names`.
        """
        raise NotImplementedError(f"{type(self).__name__} must implement compute_ssl_loss.")

    def after_step(self) -> None:
        """Updates what is not trained by gradient; called after each update of the weights."""

    def train_step(self, data) -> dict[str, tf.Tensor]:
        """One update (paper Alg. 1): views in, loss, gradient, SGD."""
        batch = as_batch(data)
        learning_rate = tf.convert_to_tensor(self.optimizer.learning_rate)
        with tf.GradientTape() as tape:
            loss, logs = self.compute_ssl_loss(batch, training=True)
            # Keras sums gradients over the replicas; the paper's loss is the mean over the global batch.
            scaled_loss = self.optimizer.scale_loss(loss / distribute.num_replicas())
        gradients = tape.gradient(scaled_loss, self.trainable_variables)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_variables, strict=True))
        self.after_step()
        for name, value in {"loss": loss, **logs}.items():
            self.trackers[name].update_state(value)
        return {name: tracker.result() for name, tracker in self.trackers.items()} | {"learning_rate": learning_rate}


def as_batch(data) -> dict:
    """Gives any training input the form of a batch.

    Args:
        data: a mapping with `views`, or the plain pair (x1, x2).

    Returns:
        A dictionary with `views`.

    Raises:
        ValueError: if `data` is neither.
    """
    if isinstance(data, Mapping) and "views" in data:
        return dict(data)
    if isinstance(data, tuple | list) and len(data) == 2:
        return {"views": tuple(data)}
    raise ValueError(
        "Training data must be a pair of views (x1, x2) or a dictionary with 'views'. "
        f"Received: {type(data).__name__}{' of length ' + str(len(data)) if hasattr(data, '__len__') else ''}."
    )
