"""Batches of features and labels for probes."""

from collections.abc import Iterable, Iterator

import numpy as np

from simsiam_tf.features.embed import Features

# Features `[n, D]` and labels `[n]`, batch by batch.
Batches = Iterable[tuple[np.ndarray, np.ndarray]]


def batches_of(features: Features, rows: int = 4096) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields all features and labels in order, at most `rows` at a time."""
    for first, part in features.chunks(rows):
        yield part, features.known_labels[first : first + len(part)]


def shuffled_batches(
    features: Features, rows: np.ndarray, size: int, epoch: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields some features and their labels in the random order of an epoch.

    Args:
        features: labelled features.
        rows: the rows to take.
        size: the number of rows in a batch; the last batch may be shorter.
        epoch: the seed of the order.
    """
    order = rows[np.random.RandomState(epoch).permutation(len(rows))]
    for start in range(0, len(order), size):
        batch = order[start : start + size]
        yield features.take(batch), features.known_labels[batch]


class Rebatcher:
    """Makes batches of one size from rows that arrive in any number.

    Args:
        size: the number of rows in a batch.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._features: list[np.ndarray] = []
        self._labels: list[np.ndarray] = []

    def add(self, features: np.ndarray, labels: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Takes rows, and yields the whole batches that they complete.

        Args:
            features: `[n, D]`.
            labels: `[n]`.
        """
        self._features.append(features)
        self._labels.append(labels)
        if sum(map(len, self._labels)) < self._size:
            return
        joined_features, joined_labels = np.concatenate(self._features), np.concatenate(self._labels)
        whole = len(joined_labels) // self._size * self._size
        self._features, self._labels = [joined_features[whole:]], [joined_labels[whole:]]
        for start in range(0, whole, self._size):
            yield joined_features[start : start + self._size], joined_labels[start : start + self._size]
