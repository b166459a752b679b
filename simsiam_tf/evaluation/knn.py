"""The weighted k-nearest-neighbour classifier of Wu et al. 2018 (the paper's kNN monitor, App. D)."""

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from simsiam_tf.data.sources import Source
from simsiam_tf.evaluation.features import Features
from simsiam_tf.evaluation.search import nearest

# Queries whose votes are counted at a time.
_QUERY_CHUNK = 1024


@tf.function(reduce_retracing=True, autograph=False)
def _add_votes(votes, similarity, labels, temperature):
    """Votes `[M, K]` and those of more neighbours, each with weight exp((s - 1) / T)."""
    m, classes = tf.shape(votes)[0], tf.shape(votes)[1]
    # The common factor exp(-1 / T) keeps exp from overflowing.
    weights = tf.exp((similarity - 1.0) / temperature)
    cells = tf.range(m)[:, tf.newaxis] * classes + labels
    added = tf.math.unsorted_segment_sum(tf.reshape(weights, [-1]), tf.reshape(cells, [-1]), m * classes)
    return votes + tf.reshape(added, [m, classes])


class KNNScores(NamedTuple):
    """Accuracies of one k and temperature, percent."""

    top1: float
    top5: float


def class_votes(similarity: np.ndarray, labels: np.ndarray, num_classes: int, k: int, temperature: float) -> tf.Tensor:
    """What the k nearest vote for each class, up to a factor: `[M, K]`.

    Args:
        similarity: `[M, at least k]`, the greatest first.
        labels: `[M, at least k]` of the same neighbours.
        num_classes: K.
        k: neighbours that vote.
        temperature: T of their weights exp(similarity / T).
    """
    votes = tf.zeros([len(similarity), num_classes])
    return _add_votes(votes, similarity[:, :k], labels[:, :k].astype(np.int32), temperature)


def knn_scores(
    bank: Features,
    queries: Features,
    num_classes: int,
    ks: Sequence[int] = (200,),
    temperatures: Sequence[float] = (0.1,),
) -> dict[tuple[int, float], KNNScores]:
    """Accuracy of the vote of the k most similar features, for every k and temperature from one search.

    Args:
        bank: N labelled training features.
        queries: M labelled test features.
        num_classes: K.
        ks: numbers of neighbours; of those above N, all N vote.
        temperatures: of their weights.

    Returns:
        Top-1 and top-5 accuracy for each pair of k and temperature.
    """
    hits = {(k, t): np.zeros(2) for k in ks for t in temperatures}
    similarity, neighbours = nearest(bank, queries.loaded(), min(max(ks), len(bank)))
    for first in range(0, len(queries), _QUERY_CHUNK):
        part = slice(first, first + _QUERY_CHUNK)
        truth = queries.known_labels[part]
        labels = bank.known_labels[neighbours[part]]
        for (k, temperature), counts in hits.items():
            votes = class_votes(similarity[part], labels, num_classes, k, temperature)
            counts += [np.sum(tf.math.in_top_k(truth, votes, top)) for top in (1, min(5, num_classes))]
    return {key: KNNScores(*(100.0 * counts / len(queries)).tolist()) for key, counts in hits.items()}


@dataclasses.dataclass(frozen=True)
class KNNProtocol:
    """What a kNN number means.

    Attributes:
        bank: the labelled training images that vote.
        queries: the images that are classified.
        k: neighbours.
        temperature: of their weights.
    """

    bank: Source
    queries: Source
    k: int = 200
    temperature: float = 0.1

    def describe(self) -> dict:
        """What produced the number, for summary.json."""
        return {
            "unit": "percent",
            "protocol": "kNN, weighted vote, eval mode",
            "k": self.k,
            "temperature": self.temperature,
            "augmentation": "linear_eval",
            "train": self.bank.name,
            "train_size": self.bank.num_readable,
            "test": self.queries.name,
        }
