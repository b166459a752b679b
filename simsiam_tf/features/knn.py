"""The weighted k-nearest-neighbour classifier of Wu et al. 2018 (the paper's kNN monitor, App. D)."""

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from simsiam_tf.data.sources import Source
from simsiam_tf.features import metrics
from simsiam_tf.features.embed import Features
from simsiam_tf.features.nearest import nearest

# Queries whose votes are counted at a time.
_QUERY_CHUNK = 1024


class KNNScores(NamedTuple):
    """Accuracies of one k and temperature, percent."""

    top1: float
    top5: float


def log_votes(similarity: np.ndarray, labels: np.ndarray, num_classes: int, k: int, temperature: float) -> np.ndarray:
    """Computes the logarithm of what the k nearest neighbours vote for each class, less a constant for each query.

    A neighbour of similarity s votes with weight exp(s / T). Weights of a small T leave the range of any float, so
    they are added up as logarithms (log-sum-exp): nothing underflows, and as T goes to 0 the nearest neighbour decides.

    Args:
        similarity: `[M, at least k]`, the greatest first.
        labels: `[M, at least k]`, the classes of the same neighbours.
        num_classes: K.
        k: number of neighbours that vote.
        temperature: T.

    Returns:
        `[M, K] float64`; minus infinity for a class that no neighbour votes for.
    """
    m = len(similarity)
    scaled = (similarity[:, :k].astype(np.float64) - similarity[:, :1]) / temperature  # at most 0
    cells = (np.arange(m)[:, np.newaxis] * num_classes + labels[:, :k]).ravel()
    greatest = np.full(m * num_classes, -np.inf)
    np.maximum.at(greatest, cells, scaled.ravel())  # of each query and class
    weights = np.exp(scaled.ravel() - greatest[cells])
    sums = np.bincount(cells, weights, minlength=m * num_classes)
    voted = sums > 0
    greatest[voted] += np.log(sums[voted])
    return greatest.reshape(m, num_classes)


def knn_scores(
    bank: Features,
    queries: Features,
    num_classes: int,
    ks: Sequence[int] = (200,),
    temperatures: Sequence[float] = (0.1,),
) -> dict[tuple[int, float], KNNScores]:
    """Measures the accuracy of the vote of the k most similar features, for every k and temperature from one search.

    A class that none of the k neighbours belongs to is no answer, so that with k = 1 top-5 is top-1. If the right class
    and another one have equal votes, the other one counts as ahead.

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
            votes = log_votes(similarity[part], labels, num_classes, k, temperature)
            counts += metrics.count_hits(votes, truth)
    return {key: KNNScores(*metrics.percent(counts, len(queries)).tolist()) for key, counts in hits.items()}


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
