"""Makes batches of features and labels for probes."""

from collections.abc import Iterable, Iterator

import numpy as np

from simsiam_tf.features.embed import Features

# Batches of features `[n, D]` and labels `[n]`.
Batches = Iterable[tuple[np.ndarray, np.ndarray]]


def batches_of(features: Features, rows: int = 4096) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields all features and their labels in order.

    Args:
        features: the labelled features.
        rows: the greatest number of rows in a batch.
    """
    for first, part in features.chunks(rows):
        yield part, features.known_labels[first : first + len(part)]


def shuffled_batches(
    features: Features, rows: np.ndarray, size: int, epoch: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields some features and their labels in a random order.

    Args:
        features: the labelled features.
        rows: the rows to take.
        size: the number of rows in a batch. The last batch may be shorter.
        epoch: the number of the epoch, which is the seed of the order.
    """
    order = rows[np.random.RandomState(epoch).permutation(len(rows))]
    for start in range(0, len(order), size):
        batch = order[start : start + size]
        yield features.take(batch), features.known_labels[batch]


class Rebatcher:
    """Makes batches of a fixed size from rows that arrive in any number.

    Args:
        size: the number of rows in a batch.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._features: list[np.ndarray] = []
        self._labels: list[np.ndarray] = []

    def add(self, features: np.ndarray, labels: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Adds rows, and yields the full batches that they complete.

        Rows that do not fill a batch wait for the next call. Nothing happens before the result is iterated.

        Args:
            features: the features of n images, `[n, D]`.
            labels: the labels of the same images, `[n]`.
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
