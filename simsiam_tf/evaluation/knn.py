"""The weighted k-nearest-neighbour classifier of Wu et al. 2018 (the paper's kNN monitor, App. D)."""

import dataclasses

import keras
import numpy as np
import tensorflow as tf

from simsiam_tf.data.sources import Source
from simsiam_tf.evaluation.features import LabelledFeatures, embed_source


@tf.function(reduce_retracing=True, autograph=False)
def _vote(features, bank_unit, labels, num_classes: int, k: int, temperature: float):
    similarity = tf.matmul(tf.math.l2_normalize(features, axis=1), bank_unit, transpose_b=True)  # [M, N]
    nearest, index = tf.math.top_k(similarity, k, sorted=False)
    weights = tf.exp((nearest - 1.0) / temperature)  # a common factor keeps exp from overflowing
    votes = tf.reduce_sum(weights[..., None] * tf.one_hot(tf.gather(labels, index), num_classes), axis=1)
    return tf.argmax(votes, axis=1)  # [M]


def knn_accuracy(
    bank: LabelledFeatures,
    queries: LabelledFeatures,
    num_classes: int,
    k: int = 200,
    temperature: float = 0.1,
    chunk: int = 512,
) -> float:
    """Top-1 accuracy of the vote of the k most similar features, each with weight exp(cosine / temperature).

    Args:
        bank: training features `[N, D]` and labels `[N]`.
        queries: test features `[M, D]` and labels `[M]`.
        num_classes: K.
        k: neighbours; at most N.
        temperature: of the weights.
        chunk: queries at a time: the similarities of a chunk take chunk x N x 4 bytes.

    Returns:
        Accuracy in percent.
    """
    bank_unit = tf.math.l2_normalize(tf.constant(bank.features), axis=1)
    arguments = bank_unit, tf.constant(bank.labels), num_classes, min(k, len(bank.labels)), temperature
    starts = range(0, len(queries.labels), chunk)
    predicted = [_vote(tf.constant(queries.features[i : i + chunk]), *arguments).numpy() for i in starts]
    return 100.0 * float(np.mean(np.concatenate(predicted) == queries.labels))


@dataclasses.dataclass(frozen=True)
class KNNProtocol:
    """What a kNN number means.

    Attributes:
        bank: the labelled training images that vote.
        queries: the images that are classified.
        image_size: of the evaluation crop, pixels.
        k: neighbours.
        temperature: of their weights.
        batch_size: images embedded at a time.
    """

    bank: Source
    queries: Source
    image_size: int
    k: int = 200
    temperature: float = 0.1
    batch_size: int = 256

    def describe(self) -> dict:
        """What produced the number, for summary.json."""
        return {
            "unit": "percent",
            "protocol": "kNN, weighted vote, eval mode",
            "k": self.k,
            "temperature": self.temperature,
            "bank": self.bank.name,
            "bank_size": self.bank.num_readable,
            "queries": self.queries.name,
        }

    def accuracy(self, backbone: keras.Model, verbose: bool = False) -> float:
        """Top-1 accuracy of the backbone's features, percent."""
        size, batch = self.image_size, self.batch_size
        bank = embed_source(backbone, self.bank, size, batch, verbose)
        queries = embed_source(backbone, self.queries, size, batch, verbose)
        return knn_accuracy(bank, queries, self.bank.num_classes, self.k, self.temperature)
