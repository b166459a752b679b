"""Trains linear softmax classifiers on frozen features: a single one, or many in the same step."""

from collections.abc import Iterable
from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf

from simsiam_tf.features import metrics
from simsiam_tf.optim import LARS, SGD, WarmupCosine

_INITIAL_STD = 0.01
OPTIMIZERS = {"lars": LARS, "sgd": SGD}
OptimizerName = Literal["lars", "sgd"]


class LinearProbe(tf.Module):
    """Trains H linear classifiers (heads) on the same features, each with its own learning rate and weight decay.

    All kernels form one variable `[D, H, K]` and all biases another, `[H, K]`, so that a step is one matrix product for
    all heads. Each head trains as it would alone: all heads start from the same weights, their gradients do not mix,
    and LARS uses the norms of each head. `step(features, labels)` updates all heads once.

    Args:
        feature_dim: D, the width of the features.
        num_classes: K, the number of classes.
        optimizer: `lars` or `sgd` (paper App. A).
        learning_rates: the learning rates of the H heads, scaled by the batch size.
        total_steps: the number of steps of the cosine schedule.
        weight_decays: the weight decays of the H heads; 0 by default.
        sgd_momentum: the momentum of the optimizer.
        seed: the seed of the initial kernel.
        **optimizer_options: further arguments of the optimizer.

    Example:
        probe = LinearProbe(2048, 1000, "sgd", [30.0], total_steps=steps)
        losses = probe.step(features, labels)
    """

    def __init__(
        self,
        feature_dim: int,
        num_classes: int,
        optimizer: OptimizerName,
        learning_rates: list[float],
        total_steps: int,
        weight_decays: list[float] | None = None,
        sgd_momentum: float = 0.9,
        seed: int = 0,
        **optimizer_options: Any,
    ) -> None:
        super().__init__()
        dtype, heads = keras.config.floatx(), len(learning_rates)
        rates, decays = (
            np.reshape(x, [heads, 1]).astype(dtype) for x in (learning_rates, weight_decays or [0] * heads)
        )
        initial = keras.initializers.RandomNormal(stddev=_INITIAL_STD, seed=seed)
        kernel = np.repeat(np.asarray(initial((feature_dim, 1, num_classes), dtype=dtype)), heads, axis=1)
        self.kernel = keras.Variable(kernel, dtype=dtype, name="kernel")
        self.bias = keras.Variable(np.zeros((heads, num_classes)), dtype=dtype, name="bias")
        if optimizer == "lars":
            optimizer_options["heads_axis"] = -2  # H in the kernel [D, H, K] as well as in the bias [H, K]
        self.optimizer = OPTIMIZERS[optimizer](
            WarmupCosine(rates, total_steps), sgd_momentum, decays, **optimizer_options
        )
        self.optimizer.build([self.kernel, self.bias])
        self.step = tf.function(self._step, reduce_retracing=True, autograph=False)

    @property
    def variables(self) -> list[keras.Variable]:
        """Returns all variables that a probe is resumed from: kernel, bias and those of the optimizer."""
        return [self.kernel, self.bias, *self.optimizer.variables]

    def logits(self, features: tf.Tensor) -> tf.Tensor:
        """Computes the logits of every head: features `[B, D]` to `[B, H, K]`."""
        dim, heads, classes = self.kernel.shape
        joined = tf.matmul(features, tf.reshape(self.kernel.value, [dim, heads * classes]))
        return tf.reshape(joined, [-1, heads, classes]) + self.bias.value

    def _step(self, features: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        """Updates all heads on features `[B, D]` and labels `[B]`, and returns their mean cross-entropies `[H]`."""
        features = tf.cast(features, self.kernel.dtype)
        with tf.GradientTape() as tape:
            logits = self.logits(features)
            labels = tf.repeat(labels[:, tf.newaxis], logits.shape[1], axis=1)
            losses = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits), axis=0)  # [H]
            loss = tf.reduce_sum(losses)
        variables = [self.kernel, self.bias]
        gradients = tape.gradient(loss, [v.value for v in variables])
        self.optimizer.apply_gradients(zip(gradients, variables, strict=True))
        return losses

    def accuracy(self, batches: Iterable[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
        """Measures the top-1 and top-5 accuracy of every head.

        Args:
            batches: the batches of features `[n, D]` and labels `[n]`.

        Returns:
            The top-1 and top-5 accuracies `[2, H]`, percent; NaN for a head that diverged.
        """
        hits = self._hits(batches)
        return metrics.percent(hits.sum(axis=2), hits.shape[2])

    def accuracy_of_one(self, batches: Iterable[tuple[np.ndarray, np.ndarray]], advice: str) -> tuple[float, float]:
        """Measures the top-1 and top-5 accuracy of a probe with a single head, in percent.

        Args:
            batches: the batches of features `[n, D]` and labels `[n]`.
            advice: the last sentence of the error message if the head diverged.

        Raises:
            FloatingPointError: if the head diverged.
        """
        hits = self.hits_of_one(batches, advice)
        top1, top5 = metrics.percent(hits.sum(axis=1), hits.shape[1]).tolist()
        return top1, top5

    def hits_of_one(self, batches: Iterable[tuple[np.ndarray, np.ndarray]], advice: str) -> np.ndarray:
        """Computes which images a probe with a single head classifies rightly.

        Args:
            batches: the batches of features `[n, D]` and labels `[n]`, M images in all.
            advice: the last sentence of the error message if the head diverged.

        Returns:
            `[2, M] bool`: whether the right class is the first guess, and whether it is among the first five.

        Raises:
            FloatingPointError: if the head diverged.
        """
        hits = self._hits(batches)[:, 0]
        if np.isnan(hits).any():
            raise FloatingPointError(f"The linear probe diverged: its scores are not finite. {advice}")
        return hits.astype(bool)

    def _hits(self, batches: Iterable[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
        """Computes the top-1 and top-5 hits of every head on M images, `[2, H, M]`: 1, 0, or NaN if it diverged."""
        parts = [np.zeros((2, self.kernel.shape[1], 0))]
        for features, labels in batches:
            logits = self.logits(tf.cast(features, self.kernel.dtype)).numpy()
            part = np.full((2, logits.shape[1], len(labels)), np.nan)
            for head in range(logits.shape[1]):
                if np.isfinite(logits[:, head]).all():
                    part[:, head] = metrics.image_hits(logits[:, head], labels)
            parts.append(part)
        return np.concatenate(parts, axis=2)
