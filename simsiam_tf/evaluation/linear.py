"""The linear probe: a softmax classifier on frozen features (paper App. A)."""

import dataclasses
import itertools
import time
from collections.abc import Callable, Iterator

import keras
import numpy as np
import tensorflow as tf

from simsiam_tf.augment import policies
from simsiam_tf.backbones import feature_dim
from simsiam_tf.data.pipeline import evaluation_dataset
from simsiam_tf.data.sources import Source
from simsiam_tf.evaluation.config import EvaluationConfig
from simsiam_tf.evaluation.features import LabelledFeatures, embed_source, feature_batches
from simsiam_tf.optim import LARS, SGD, WarmupCosine, scaled_learning_rate
from simsiam_tf.progress import progress_bar

# Base learning rate and batch size of the paper's two protocols.
_PAPER = {"lars": (LARS, 0.02, 4096), "sgd": (SGD, 30.0, 256)}
_INITIAL_STD = 0.01

Batches = Iterator[tuple[np.ndarray, np.ndarray]]


class LinearProbe:
    """A dense layer with softmax under LARS or SGD.

    Args:
        feature_dim: D.
        num_classes: K.
        optimizer: built on first use.
        seed: of the initial kernel.
    """

    def __init__(self, feature_dim: int, num_classes: int, optimizer: SGD, seed: int = 0):
        initial = keras.initializers.RandomNormal(stddev=_INITIAL_STD, seed=seed)
        self.kernel = keras.Variable(initial((feature_dim, num_classes), dtype="float32"), dtype="float32")
        self.bias = keras.Variable(np.zeros(num_classes), dtype="float32")
        self._optimizer = optimizer
        self._optimizer.build([self.kernel, self.bias])
        self.step = tf.function(self._step, reduce_retracing=True, autograph=False)

    def logits(self, features: tf.Tensor) -> tf.Tensor:
        """`[B, D]` to `[B, K]`."""
        return tf.matmul(features, self.kernel.value) + self.bias.value

    def _step(self, features, labels):
        """One update on features `[B, D]` and labels `[B]`; returns the mean cross-entropy."""
        with tf.GradientTape() as tape:
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, self.logits(features))
            loss = tf.reduce_mean(losses)
        variables = [self.kernel, self.bias]
        gradients = tape.gradient(loss, [v.value for v in variables])
        self._optimizer.apply_gradients(zip(gradients, variables, strict=True))
        return loss

    def accuracy(self, test: LabelledFeatures) -> tuple[float, float]:
        """Top-1 and top-5 accuracy in percent."""
        logits = self.logits(tf.constant(test.features))
        hits = [tf.math.in_top_k(test.labels, logits, k) for k in (1, min(5, logits.shape[-1]))]
        top1, top5 = (100.0 * float(tf.reduce_mean(tf.cast(hit, tf.float32))) for hit in hits)
        return top1, top5


@dataclasses.dataclass(frozen=True)
class LinearProtocol:
    """What a linear-probe number means.

    Attributes:
        train: labelled images that the probe learns from.
        test: labelled images that it is judged on.
        image_size: of the crops, pixels.
        options: the optimiser and its settings.
    """

    train: Source
    test: Source
    image_size: int
    options: EvaluationConfig

    @property
    def batch_size(self) -> int:
        wanted = self.options.linear_batch_size or _PAPER[self.options.linear_optimizer][2]
        return min(wanted, self.train.num_examples)

    @property
    def base_learning_rate(self) -> float:
        return self.options.linear_base_learning_rate or _PAPER[self.options.linear_optimizer][1]

    def describe(self) -> dict:
        """What produced the number, for summary.json."""
        return {
            "unit": "percent",
            "protocol": "linear probe on frozen features, offline",
            "optimizer": self.options.linear_optimizer,
            "base_learning_rate": self.base_learning_rate,
            "learning_rate": scaled_learning_rate(self.base_learning_rate, self.batch_size),
            "batch_size": self.batch_size,
            "epochs": self.options.linear_epochs,
            "augmentation": self.options.linear_augmentation,
            "train": self.train.name,
            "train_size": self.train.num_readable,
            "test": self.test.name,
        }

    def accuracy(self, backbone: keras.Model) -> tuple[float, float, float]:
        """Trains the probe; returns top-1, top-5 in percent, and the seconds it took."""
        start = time.monotonic()
        epochs, batch = self.options.linear_epochs, self.batch_size
        steps = self.train.num_examples // batch
        rate = WarmupCosine(scaled_learning_rate(self.base_learning_rate, batch), epochs * steps)
        optimizer = _PAPER[self.options.linear_optimizer][0](rate, weight_decay=0.0)
        probe = LinearProbe(feature_dim(backbone), self.train.num_classes, optimizer)
        batches = self._batches(backbone)
        print(f"Training the linear probe on {self.train.name}")
        bar = progress_bar(epochs * steps)
        for epoch in range(epochs):
            # What unreadable images leave missing of an epoch comes from another shuffle.
            rows = itertools.chain(batches(epoch), batches(epoch + epochs))
            for features, labels in itertools.islice(_rebatch(rows, batch), steps):
                loss = probe.step(tf.constant(features), tf.constant(labels))
                bar.add(1, [("loss", float(loss))])
        test = embed_source(backbone, self.test, self.image_size, self.options.eval_batch_size)
        return *probe.accuracy(test), time.monotonic() - start

    def _batches(self, backbone: keras.Model) -> Callable[[int], Batches]:
        """An epoch's features and labels, shuffled: of new crops, or of the images embedded once."""
        size, read_batch = self.image_size, self.options.eval_batch_size
        if self.options.linear_augmentation == "linear_eval":
            cached = embed_source(backbone, self.train, size, read_batch, verbose=True)

            def shuffled(epoch):
                order = np.random.RandomState(epoch).permutation(len(cached.labels))
                yield cached.features[order], cached.labels[order]

            return shuffled

        def augmented(epoch):
            policy = policies.POLICIES[self.options.linear_augmentation][0]
            images = evaluation_dataset(self.train, size, read_batch, policy, shuffle_seed=0, epoch=epoch)
            for features, index in feature_batches(backbone, images):
                yield features, self.train.labels[index]

        return augmented


def _rebatch(batches: Batches, size: int) -> Batches:
    """Whole batches of `size` from batches of any size; what remains is dropped."""
    held_features: list[np.ndarray] = []
    held_labels: list[np.ndarray] = []
    for features, labels in batches:
        held_features.append(features)
        held_labels.append(labels)
        if sum(map(len, held_labels)) < size:
            continue
        joined_features, joined_labels = np.concatenate(held_features), np.concatenate(held_labels)
        whole = len(joined_labels) // size * size
        for start in range(0, whole, size):
            yield joined_features[start : start + size], joined_labels[start : start + size]
        held_features, held_labels = [joined_features[whole:]], [joined_labels[whole:]]
