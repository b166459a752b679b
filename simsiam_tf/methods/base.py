"""Defines what all methods share: one model class, and the only training step."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from simsiam_tf.distribute import collectives
from simsiam_tf.errors import check
from simsiam_tf.features.metrics import top_k_hits
from simsiam_tf.methods.batch import as_batch
from simsiam_tf.methods.collapse import spread_logs
from simsiam_tf.methods.keras_model import KerasMethod
from simsiam_tf.methods.running_mean import Count, RunningMean
from simsiam_tf.networks import feature_dim
from simsiam_tf.networks.heads import make_classifier
from simsiam_tf.networks.normalization import each_view
from simsiam_tf.optim import SGD

# The log that counts the steps of an epoch whose loss or gradient is not finite.
LEFT_OUT = "left_out"


class SSLModel(KerasMethod):
    """Trains a backbone by a self-supervised method. This is the base class of every method.

    `fit` takes pairs of views (x1, x2), `evaluate` gives the method's own loss, `predict` gives features. A whole
    model can be saved and loaded (`model.save`, `keras.models.load_model`), and training then goes on.

    A method implements `compute_ssl_loss` and, where it keeps state besides its weights, `after_step`.
    Every variable exists once the constructor returns, so nothing is built lazily inside `fit`.

    Args:
        backbone: a built `keras.Model` from images `[B, H, W, 3]` to features `[B, D]`.
        online_probe_classes: the number of classes K of the online probe; 0 for no probe. The probe is a linear
            classifier on the features. It is trained in the same steps by the same optimizer, and no gradient flows
            from it into the backbone. Training data must then hold `labels`. The accuracy on the training views is
            logged as `online_probe_train_top1`, in percent. The loss of the probe is not part of `loss`.
        steps_per_epoch: the number of steps in an epoch, for settings that count in epochs; 0 where it is not known.
        epochs: the number of epochs of the run.

    Raises:
        ValueError: if an argument is unknown or out of its range.
    """

    # The predictor, if there is one. Its learning rate may differ (Sec. 4.2).
    predictor: keras.layers.Layer | None = None
    # The number of views of each image that a batch must hold.
    least_views: int = 2
    # The loss of a network that finds views of an image no more alike than others; `None` if that is not known.
    chance_loss: float | None = None
    # Names of the logs of `compute_ssl_loss`. They are averaged over an epoch, like the loss.
    log_names: tuple[str, ...] = ("z_std_scaled", "z_mean_length", "z_rank", "feature_rank")

    def __init__(
        self,
        backbone: keras.Model,
        online_probe_classes: int = 0,
        steps_per_epoch: int = 0,
        epochs: int = 1,
        **kwargs: Any,
    ) -> None:
        for option, number in (("online_probe_classes", online_probe_classes), ("steps_per_epoch", steps_per_epoch)):
            check(number >= 0, f"{option} must not be negative.", number)
        check(epochs >= 1, "epochs must be at least 1.", epochs)
        collectives.warn_of_second_strategy()
        super().__init__(**{"name": "method", **kwargs})  # the same each time: it is a part of variables' paths
        self.backbone = backbone
        self.steps_per_epoch, self.epochs = steps_per_epoch, epochs
        self.online_probe: keras.layers.Dense | None = None
        names = ["loss", *self.log_names, "gradient_norm"]
        if online_probe_classes:
            self.online_probe = make_classifier(feature_dim(backbone), online_probe_classes, name="online_probe")
            names.append("online_probe_train_top1")
        self.trackers = {name: RunningMean(name=name) for name in names} | {LEFT_OUT: Count(name=LEFT_OUT)}
        self.accumulate_steps = 1
        self.accumulators: list[tf.Variable] = []

    @property
    def feature_dim(self) -> int:
        """Returns D, the width of the backbone's features."""
        return feature_dim(self.backbone)

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """Returns the means that are logged, which Keras resets at each epoch."""
        return list(self.trackers.values())

    @property
    def norms_and_biases(self) -> list[keras.Variable]:
        """Returns the scales and offsets of batch norm, and all biases."""
        found = [getattr(layer, name, None) for layer in self._flatten_layers() for name in ("gamma", "beta", "bias")]
        return [variable for variable in found if isinstance(variable, keras.Variable)]

    def call(self, images: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Computes the features of normalised images: `[B, H, W, 3]` to `[B, D]`."""
        return self.backbone(images, training=training)

    def features(self, batch: dict[str, Any], training: bool) -> tuple[tf.Tensor, ...]:
        """Computes the features of each view, `[B, D]`, and notes them in the batch for the online probe."""
        batch["features"] = each_view(self.backbone, batch["views"], training)
        return batch["features"]

    def steps_of(self, epochs: float) -> int:
        """Converts a number of epochs to steps.

        Raises:
            ValueError: if the length of an epoch is not known.
        """
        if epochs and not self.steps_per_epoch:
            raise ValueError(
                f"{type(self).__name__} has a setting that counts in epochs; give it steps_per_epoch and epochs. "
                "Received: steps_per_epoch=0."
            )
        return round(epochs * self.steps_per_epoch)

    @staticmethod
    def logs(batch: dict[str, Any], z: Sequence[tf.Tensor]) -> dict[str, tf.Tensor]:
        """Measures whether z of each view, `[B, d]`, or the features are collapsing (paper Sec. 4.1)."""
        return spread_logs(z, batch["features"][0])

    def _online_probe_loss(self, batch: dict[str, Any]) -> tuple[tf.Tensor, tf.Tensor]:
        """Computes the online probe's mean cross-entropy over the views, and its accuracy in percent."""
        assert self.online_probe is not None
        features = tf.stop_gradient(tf.concat(batch["features"], axis=0))  # [V B, D]
        labels = tf.tile(batch["labels"], [len(batch["features"])])
        logits = tf.cast(self.online_probe(features), keras.config.floatx())
        loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))
        return loss, 100.0 * tf.reduce_mean(tf.cast(top_k_hits(logits, labels, 1), loss.dtype))

    def compute_ssl_loss(self, batch: dict[str, Any], training: bool) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """Computes the loss of one batch.

        Args:
            batch: `views`, a tuple of float images `[B, H, W, 3]`, and from our own pipeline `index`, the
                `[B]` int64 positions of the images in the data set. A method takes the features of the views from
                `features`.
            training: run in training mode.

        Returns:
            The mean loss, a scalar, and a dictionary with a scalar for each of `log_names`.
        """
        raise NotImplementedError(f"{type(self).__name__} must implement compute_ssl_loss.")

    def after_step(self) -> None:
        """Updates the state that no gradient trains, such as a momentum encoder, after each update of the weights."""

    def after_given_weights(self) -> None:
        """Makes a momentum encoder a copy of the encoder again, once the encoder was given other weights."""

    def train_step(self, data: Any) -> dict[str, tf.Tensor]:
        """Takes one step of SGD: the loop's body in the paper's Algorithm 1, whose lines stand beside ours.

        f is the backbone and the projector, h the predictor. Other methods put their own loss in the place of L.

        Args:
            data: a batch, as for `as_batch`.

        Returns:
            A scalar for each of `step_log_names`.
        """
        batch = as_batch(data, self.least_views)  # x1, x2 = aug(x), aug(x)
        with tf.GradientTape() as tape:
            # z1, z2 = f(x1), f(x2); p1, p2 = h(z1), h(z2); L = D(p1, z2)/2 + D(p2, z1)/2
            loss = self.compute_loss_share(batch)
        gradients = tape.gradient(loss, self.trainable_variables)  # L.backward()
        learning_rate = tf.convert_to_tensor(self.optimizer.learning_rate)
        gradients = self._with_accumulated(gradients)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_variables, strict=True))  # update(f, h)
        self.after_step()
        self._track_gradient(self._gradient_norm(gradients), batch["loss"])
        return self._step_logs(learning_rate)

    def test_step(self, data: Any) -> dict[str, tf.Tensor]:
        """Computes the loss of a batch in inference mode, for `evaluate` and `fit(validation_data=...)`.

        Batch norm takes its moving statistics, and targets are z of the present weights.

        Args:
            data: a batch, as for `as_batch`.

        Returns:
            A scalar for each of `metrics`: the loss and the method's logs, averaged over the batches so far.
        """
        batch = as_batch(data, self.least_views)
        loss, logs = self.compute_ssl_loss(batch, training=False)
        logs = {"loss": loss, **logs}
        if self.online_probe is not None:
            logs["online_probe_train_top1"] = self._online_probe_loss(batch)[1]
        self._track(logs)
        return {name: self.trackers[name].result() for name in logs}

    def compute_loss_share(self, batch: dict[str, Any]) -> tf.Tensor:
        """Computes this replica's part of the loss to differentiate, and tracks the loss and its logs.

        Gradients are summed over the replicas and over the parts of a batch. The paper's loss is a mean over the global
        batch, so the loss of each part is divided by the number of replicas and parts. The online probe's loss is
        added, if there is one. In float16 the optimizer scales the sum.

        Args:
            batch: a dictionary with `views`, as for `compute_ssl_loss`.

        Returns:
            A scalar.
        """
        loss, logs = self.compute_ssl_loss(batch, training=True)
        total, logs = loss, {"loss": loss, **logs}
        if self.online_probe is not None:
            probe_loss, logs["online_probe_train_top1"] = self._online_probe_loss(batch)
            total = loss + tf.cast(probe_loss, loss.dtype)  # they share no variable
        share = self.optimizer.scale_loss(total / (collectives.num_replicas() * self.accumulate_steps))
        batch["loss"] = self._track(logs)["loss"]
        return share

    def _track(self, logs: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Adds scalars to the means that are logged, and returns what was added: their means over the replicas."""
        averages = tf.unstack(collectives.all_reduce_mean(tf.stack(list(logs.values()))))
        for name, value in zip(logs, averages, strict=True):
            self.trackers[name].update_state(value)
        return dict(zip(logs, averages, strict=True))

    def _gradient_norm(self, gradients: list[tf.Tensor]) -> tf.Tensor:
        """Returns the length of the gradient of the global batch.

        With an optimizer of others on several replicas, it is the square root of the sum of the replicas' squares.
        """
        if isinstance(self.optimizer, SGD):
            return self.optimizer.gradient_norm
        return tf.sqrt(collectives.all_reduce_sum(tf.square(tf.linalg.global_norm(gradients))))

    def _track_gradient(self, norm: tf.Tensor, loss: tf.Tensor) -> None:
        """Adds the length of the gradient to its mean, and counts the step if that or the loss is not finite."""
        self.trackers["gradient_norm"].update_state(norm)
        self.trackers[LEFT_OUT].update_state(tf.cast(norm, loss.dtype) + 0 * loss)

    def loss_gradients(self, data: Any) -> list[tf.Tensor]:
        """Computes this replica's part of the gradient of the loss over the global batch."""
        with tf.GradientTape() as tape:
            loss = self.compute_loss_share(as_batch(data, self.least_views))
        return tape.gradient(loss, self.trainable_variables)

    def _with_accumulated(self, gradients: list[tf.Tensor]) -> list[tf.Tensor]:
        """Adds the gradients of the batch's earlier parts, if it has any, and begins their sums anew."""
        for i, total in enumerate(self.accumulators):
            # By assignment, not as a sum: docs/decisions/0005-updates-in-two-assignments.md.
            total.assign_add(gradients[i])
            gradients[i] = tf.convert_to_tensor(total)
            total.assign(tf.zeros_like(total))
        return gradients

    def _step_logs(self, learning_rate: tf.Tensor) -> dict[str, tf.Tensor]:
        logs = {name: tracker.result() for name, tracker in self.trackers.items()}
        logs["learning_rate"] = learning_rate
        return logs | ({"loss_scale": tf.convert_to_tensor(self.optimizer.loss_scale)} if self.scales_loss else {})

    @property
    def scales_loss(self) -> bool:
        """Returns whether the optimizer scales the loss, for float16."""
        return getattr(self.optimizer, "scales_loss", False)

    @property
    def step_log_names(self) -> tuple[str, ...]:
        """Returns the names of the logs that `train_step` returns."""
        return (*self.trackers, "learning_rate", *(("loss_scale",) if self.scales_loss else ()))

    def accumulate_over(self, parts: int) -> None:
        """Prepares the model for batches that are computed in parts.

        For each part but the last, call `accumulate_step`. For the last, call `train_step`, which applies the mean
        gradient of all parts. Call this method under the strategy that the model was made under.

        Batch norm uses the statistics of one part, and updates its moving statistics once for each part. SimCLR's
        negatives, SwAV's codes and Barlow Twins' correlations are those of one part. MoCo's queue is updated after each
        part. See docs/decisions/0010-six-methods.md.

        Args:
            parts: the number of parts of each global batch.
        """
        self.accumulate_steps = parts
        if parts > 1:
            # Each replica sums its own; they meet in the optimizer. Zero between steps, so in no checkpoint.
            kind = {"synchronization": tf.VariableSynchronization.ON_READ, "trainable": False}
            kind["aggregation"] = tf.VariableAggregation.SUM
            self.accumulators = [tf.Variable(tf.zeros(v.shape, v.dtype), **kind) for v in self.trainable_variables]

    def accumulate_step(self, data: Any) -> None:
        """Adds the gradient of one part of a batch to what the next `train_step` applies."""
        for total, gradient in zip(self.accumulators, self.loss_gradients(data), strict=True):
            total.assign_add(gradient)
