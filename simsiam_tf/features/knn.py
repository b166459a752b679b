"""Classifies features by the weighted vote of nearest neighbours (Wu et al. 2018; paper App. D)."""

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from simsiam_tf.data.sources import Source
from simsiam_tf.features import metrics
from simsiam_tf.features.embed import Features
from simsiam_tf.features.nearest import nearest

# The number of queries whose votes are counted at a time.
_QUERY_CHUNK = 1024


class KNNScores(NamedTuple):
    """Holds the accuracies of one k and temperature, in percent."""

    top1: float
    top5: float


def log_votes(similarity: np.ndarray, labels: np.ndarray, num_classes: int, k: int, temperature: float) -> np.ndarray:
    """Computes the logarithm of the k nearest neighbours' votes for each class, up to a constant for each query.

    A neighbour of similarity s votes with weight exp(s / T). With a small T these weights leave the range of any float.
    They are therefore added up as logarithms (log-sum-exp), so that nothing underflows. As T goes to 0, the nearest
    neighbour alone decides.

    Args:
        similarity: the similarities of each query's nearest neighbours, `[M, at least k]`, the greatest first.
        labels: the classes of the same neighbours, `[M, at least k]`.
        num_classes: K, the number of classes.
        k: the number of neighbours that vote.
        temperature: T.

    Returns:
        `[M, K] float64`; minus infinity for a class without a vote.
    """
    m = len(similarity)
    scaled = (similarity[:, :k].astype(np.float64) - similarity[:, :1]) / temperature  # at most 0
    cells = (np.arange(m)[:, np.newaxis] * num_classes + labels[:, :k]).ravel()
    greatest = np.full(m * num_classes, -np.inf)
    np.maximum.at(greatest, cells, scaled.ravel())  # the greatest of each query and class
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
    """Measures the accuracy of the vote of the k nearest neighbours, for every k and temperature from one search.

    A class that none of the k neighbours belongs to is never a guess, so with k = 1 top-5 equals top-1. If the right
    class and another one have equal votes, the other one counts as ahead.

    Args:
        bank: N training features with labels; they vote.
        queries: M test features with labels; they are classified.
        num_classes: K, the number of classes.
        ks: the numbers of neighbours that vote; for a number above N, all N vote.
        temperatures: the temperatures T of the weights exp(similarity / T).

    Returns:
        The top-1 and top-5 accuracy for each pair of k and temperature.

    Raises:
        ValueError: if labels are missing.
        FloatingPointError: if a feature is not finite.

    Example:
        bank = Features.from_array(train_features, train_labels)
        queries = Features.from_array(test_features, test_labels)
        knn_scores(bank, queries, num_classes=10)[200, 0.1].top1
    """
    hits = knn_hits(bank, queries, num_classes, ks, temperatures)
    return {
        key: KNNScores(*metrics.percent(of_images.sum(axis=1), len(queries)).tolist())
        for key, of_images in hits.items()
    }


def knn_hits(
    bank: Features,
    queries: Features,
    num_classes: int,
    ks: Sequence[int] = (200,),
    temperatures: Sequence[float] = (0.1,),
) -> dict[tuple[int, float], np.ndarray]:
    """Computes which test images the vote classifies rightly, for every k and temperature from one search.

    Args:
        bank: N training features with labels; they vote.
        queries: M test features with labels; they are classified.
        num_classes: K, the number of classes.
        ks: the numbers of neighbours that vote; for a number above N, all N vote.
        temperatures: the temperatures T of the weights exp(similarity / T).

    Returns:
        `[2, M] bool` for each pair of k and temperature: whether the right class is the first guess, and whether it is
        among the first five.

    Raises:
        ValueError: if labels are missing.
        FloatingPointError: if a feature is not finite.

    Example:
        is_right = knn_hits(bank, queries, num_classes=10)[200, 0.1][0]
    """
    hits = {(k, t): np.zeros((2, len(queries)), bool) for k in ks for t in temperatures}
    similarity, neighbours = nearest(bank, queries.loaded(), min(max(ks), len(bank)))
    for first in range(0, len(queries), _QUERY_CHUNK):
        part = slice(first, first + _QUERY_CHUNK)
        truth = queries.known_labels[part]
        labels = bank.known_labels[neighbours[part]]
        for (k, temperature), of_images in hits.items():
            votes = log_votes(similarity[part], labels, num_classes, k, temperature)
            of_images[:, part] = metrics.image_hits(votes, truth)
    return hits


@dataclasses.dataclass(frozen=True)
class KNNProtocol:
    """Defines how a kNN accuracy is measured.

    Attributes:
        bank: the labelled training images, which vote.
        queries: the labelled test images, which are classified.
        k: the number of neighbours that vote; if there are fewer training images, all of them vote.
        temperature: the temperature T of the weights exp(similarity / T).
        precision: the precision of the network that embeds the images.
    """

    bank: Source
    queries: Source
    k: int = 200
    temperature: float = 0.1
    precision: str = "float32"

    def describe(self) -> dict:
        """Returns the description of the protocol that stands beside the accuracy in summary.json."""
        return {
            "unit": "percent",
            "protocol": "kNN, weighted vote, eval mode",
            "k": min(self.k, self.bank.num_readable),
            "temperature": self.temperature,
            "augmentation": "linear_eval",
            "train": self.bank.name,
            "train_size": self.bank.num_readable,
            "test": self.queries.name,
            "precision": self.precision,
        }
