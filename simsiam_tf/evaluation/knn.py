"""The weighted k-nearest-neighbour classifier of Wu et al. 2018 (the paper's kNN monitor, App. D)."""

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from simsiam_tf.data.sources import Source
from simsiam_tf.evaluation.features import Features

# Queries, and rows of the bank, that are compared at a time: their similarities take 256 MiB at most.
_QUERY_CHUNK, _BANK_CHUNK = 1024, 1 << 16
# A query's similarities are looked through in groups of so many.
_GROUP = 16


@tf.function(reduce_retracing=True, autograph=False)
def _unit(x):
    return tf.math.l2_normalize(x, axis=1)


@tf.function(autograph=False)
def _nearer(queries, bank, first, similarity, index):
    """The k nearest, greatest similarity first, of those found so far `[M, k]` and of more rows of the bank `[n, D]`.

    Seen as groups of neighbouring rows, what is nearer than the k-th so far lies in the groups whose maximum is: at
    most k of them, and the fewer the more of the bank has been seen. Maxima of groups, and the greatest among few,
    are several times faster than the k greatest of all.
    """
    values = tf.matmul(queries, bank, transpose_b=True)  # [M, n]
    (m, n), k = values.shape, similarity.shape[1]
    whole = n // _GROUP * _GROUP
    grouped = tf.reshape(values[:, :whole], [m, whole // _GROUP, _GROUP])
    maxima = tf.reduce_max(grouped, axis=2)
    nearer = tf.reduce_sum(tf.cast(maxima > similarity[:, -1:], tf.int32), axis=1)  # [M]
    _, best = tf.math.top_k(maxima, tf.minimum(k, tf.reduce_max(nearer)), sorted=False)  # [M, at most k] groups
    found = tf.reshape(tf.gather(grouped, best, batch_dims=1), [m, -1])
    rows = tf.reshape(best[:, :, tf.newaxis] * _GROUP + tf.range(_GROUP), [m, -1])
    rest = tf.tile([tf.range(whole, n)], [m, 1])
    nearest, chosen = tf.math.top_k(tf.concat([similarity, found, values[:, whole:]], axis=1), k)
    return nearest, tf.gather(tf.concat([index, rows + first, rest + first], axis=1), chosen, batch_dims=1)


def nearest(bank: Features, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The k rows of a bank most similar to each query, by cosine similarity.

    The bank is read once, a part at a time, so that it may be larger than memory.

    Args:
        bank: N features.
        queries: `[M, D]`.
        k: at most N.

    Returns:
        Similarities `[M, k] float32`, the greatest first, and rows `[M, k] int32`.
    """
    starts = range(0, len(queries), _QUERY_CHUNK)
    units = [_unit(tf.constant(queries[i : i + _QUERY_CHUNK])) for i in starts]
    best = [(tf.fill([len(unit), k], -np.inf), tf.zeros([len(unit), k], tf.int32)) for unit in units]
    for first, rows in bank.chunks(_BANK_CHUNK):
        part = _unit(tf.constant(rows))
        best = [_nearer(u, part, tf.constant(first), *so_far) for u, so_far in zip(units, best, strict=True)]
    return np.concatenate([s.numpy() for s, _ in best]), np.concatenate([i.numpy() for _, i in best])


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
