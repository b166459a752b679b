"""Softmax classifiers on frozen features: one, or many side by side in one step."""

import math
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


class LinearProbe:
    """Trains H independent softmax classifiers on the same features, each with its learning rate and weight decay.

    Kernels and biases lie side by side, `[D, H, K]` and `[H, K]`, so that a step is one matrix product for all heads.
    Each trains as it would alone: all begin alike, gradients do not mix, and LARS takes each head's norms.

    Args:
        feature_dim: D, the width of the features.
        num_classes: K.
        optimizer: `lars` or `sgd` (paper App. A).
        learning_rates: the scaled learning rate of each of the H heads.
        total_steps: the length of the cosine schedule; 0 keeps the rates constant.
        weight_decays: the weight decay of each head; 0 by default.
        sgd_momentum: the momentum of either optimizer.
        seed: the seed of the initial kernel.
        **optimizer_options: further arguments of the optimizer.
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
        dtype, heads = keras.config.floatx(), len(learning_rates)
        rates, decays = (
            np.reshape(x, [heads, 1]).astype(dtype) for x in (learning_rates, weight_decays or [0] * heads)
        )
        initial = keras.initializers.RandomNormal(stddev=_INITIAL_STD, seed=seed)
        kernel = np.repeat(np.asarray(initial((feature_dim, 1, num_classes), dtype=dtype)), heads, axis=1)
        self.kernel = keras.Variable(kernel, dtype=dtype, name="kernel")
        self.bias = keras.Variable(np.zeros((heads, num_classes)), dtype=dtype, name="bias")
        if optimizer == "lars":
            optimizer_options["heads_axis"] = -2  # of the kernel [D, H, K] and of the bias [H, K] alike
        self.optimizer = OPTIMIZERS[optimizer](
            WarmupCosine(rates, total_steps), sgd_momentum, decays, **optimizer_options
        )
        self.optimizer.build([self.kernel, self.bias])
        self.step = tf.function(self._step, reduce_retracing=True, autograph=False)

    @property
    def variables(self) -> list[keras.Variable]:
        """All that a probe is resumed from: weights and optimizer."""
        return [self.kernel, self.bias, *self.optimizer.variables]

    def logits(self, features: tf.Tensor) -> tf.Tensor:
        """Computes the scores of each class by each head: `[B, D]` to `[B, H, K]`."""
        dim, heads, classes = self.kernel.shape
        joined = tf.matmul(features, tf.reshape(self.kernel.value, [dim, heads * classes]))
        return tf.reshape(joined, [-1, heads, classes]) + self.bias.value

    def _step(self, features: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        """Updates each head on features `[B, D]` and labels `[B]`; returns the mean cross-entropies `[H]`."""
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
        """Measures the top-1 and top-5 accuracy of each head over batches of features and labels.

        Args:
            batches: features `[n, D]` and labels `[n]`.

        Returns:
            `[2, H]` percent; NaN for a head that diverged.
        """
        hits, count = np.zeros((2, self.kernel.shape[1])), 0
        for features, labels in batches:
            logits = self.logits(tf.cast(features, self.kernel.dtype)).numpy()
            for head in range(logits.shape[1]):
                is_finite = np.isfinite(logits[:, head]).all()
                hits[:, head] += metrics.count_hits(logits[:, head], labels) if is_finite else np.nan
            count += len(labels)
        return metrics.percent(hits, count)

    def accuracy_of_one(self, batches: Iterable[tuple[np.ndarray, np.ndarray]], advice: str) -> tuple[float, float]:
        """Measures the top-1 and top-5 accuracy of the only head, percent.

        Args:
            batches: features `[n, D]` and labels `[n]`.
            advice: the advice to give if the head diverged.

        Raises:
            FloatingPointError: if the head diverged.
        """
        top1, top5 = self.accuracy(batches)[:, 0].tolist()
        if math.isnan(top1):
            raise FloatingPointError(f"The linear probe diverged: its scores are not finite. {advice}")
        return top1, top5
