"""Embeds data sets: computes the features of their images with a frozen backbone in eval mode."""

import dataclasses
import functools
import itertools
import logging
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from simsiam_tf.data.pipeline import evaluation_dataset
from simsiam_tf.data.sources import Source
from simsiam_tf.distribute.strategy import ONE_DEVICE
from simsiam_tf.features import metrics
from simsiam_tf.networks.fingerprint import variables_sha256
from simsiam_tf.progress import Progress

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Features:
    """Holds the features of a data set, with their positions and labels.

    Features from disk are memory-mapped: they are read when they are used.

    Attributes:
        parts: the features in order, in one array or several, `[n, D] float32` each; N rows in all.
        index: the positions of the images in their source, `[N] int64`; images that could not be read are missing.
        labels: the labels of the images, `[N] int64`, or `None`.

    Example:
        Features.from_array(np.load("features.npy"), np.load("labels.npy"))
    """

    parts: tuple[np.ndarray, ...]
    index: np.ndarray
    labels: np.ndarray | None

    @classmethod
    def from_array(cls, features: np.ndarray, labels: np.ndarray | None = None) -> "Features":
        """Makes Features from an array in memory.

        Args:
            features: the features, `[N, D]`; they are converted to float32.
            labels: the labels, `[N]`, or `None`.
        """
        return cls((np.asarray(features, np.float32),), np.arange(len(features)), labels)

    def __len__(self) -> int:
        return len(self.index)

    @property
    def dim(self) -> int:
        """Returns D, the width of the features."""
        return self.parts[0].shape[1]

    @property
    def known_labels(self) -> np.ndarray:
        """Returns the labels, `[N] int64`.

        Raises:
            ValueError: if there are no labels.
        """
        if self.labels is None:
            raise ValueError("Accuracy needs labelled features. Received: features without labels.")
        return self.labels

    def chunks(self, rows: int) -> Iterator[tuple[int, np.ndarray]]:
        """Iterates over the features in order, some rows at a time.

        Args:
            rows: the greatest number of rows at a time.

        Yields:
            The number of the first row, and the features `[n, D]` from there on.
        """
        first = 0
        for part in self.parts:
            for start in range(0, len(part), rows):
                yield first + start, np.asarray(part[start : start + rows])
            first += len(part)

    def take(self, rows: np.ndarray) -> np.ndarray:
        """Returns the features of chosen rows.

        Args:
            rows: row numbers, `[n]`, in any order.

        Returns:
            `[n, D]`, in the order of `rows`.
        """
        if len(self.parts) == 1:
            return self.parts[0][rows]
        starts = np.cumsum([0, *(len(part) for part in self.parts)])
        of_part = np.searchsorted(starts, rows, side="right") - 1
        taken = np.empty((len(rows), self.dim), np.float32)
        for number in np.unique(of_part):
            mine = of_part == number
            taken[mine] = self.parts[number][rows[mine] - starts[number]]
        return taken

    def subset(self, rows: np.ndarray) -> "Features":
        """Returns the features of chosen rows, `[n]`, with their positions and labels, in memory."""
        labels = None if self.labels is None else self.labels[rows]
        return Features((self.take(rows),), self.index[rows], labels)

    def loaded(self) -> np.ndarray:
        """Returns all features in memory, `[N, D]`."""
        return np.concatenate(self.parts)


@functools.cache
def _embedder(strategy: tf.distribute.Strategy) -> Callable[..., Any]:
    """Makes the function that embeds one batch on each replica. It is cached, so that each backbone is traced once."""

    def embed(backbone: keras.Model, batch: tf.Tensor) -> tf.Tensor:
        return tf.cast(backbone(batch, training=False), tf.float32)

    if strategy is ONE_DEVICE:
        return tf.function(embed, reduce_retracing=True, autograph=False)
    return tf.function(lambda backbone, batch: strategy.run(embed, args=(backbone, batch)), autograph=False)


def feature_batches(
    backbone: keras.Model, images: tf.data.Dataset, strategy: tf.distribute.Strategy = ONE_DEVICE
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Embeds a data set batch by batch, in the order of the data set.

    Args:
        backbone: a network from images `[B, H, W, 3]` to features `[B, D]`, made under the strategy.
        images: batches of normalised images and their positions, as from `evaluation_dataset`.
        strategy: the distribution strategy; each of its replicas embeds one batch at a time.

    Yields:
        Features `[B, D] float32` and positions `[B] int64`.

    Raises:
        FloatingPointError: if a feature is not finite.
    """
    embed = _embedder(strategy)
    if strategy is ONE_DEVICE:
        for batch, index in images:
            yield metrics.finite(embed(backbone, batch).numpy(), "feature"), index.numpy()
        return
    whole = 0  # the size of the first batch; the others are padded to it, because a TPU compiles for one shape
    for group in _groups(images, strategy.num_replicas_in_sync):
        whole = whole or len(group[0][0])
        padded = [_padded(batch, whole) for batch, _ in group]
        padded += [padded[0]] * (strategy.num_replicas_in_sync - len(group))
        values = strategy.experimental_distribute_values_from_function(
            lambda context, padded=padded: padded[context.replica_id_in_sync_group]
        )
        by_replica = strategy.experimental_local_results(embed(backbone, values))
        for features, (_, index) in zip(by_replica, group, strict=False):
            yield metrics.finite(features.numpy()[: len(index)], "feature"), index.numpy()


def _groups(elements: Iterable[Any], size: int) -> Iterator[list[Any]]:
    """Splits a sequence into lists of `size` elements; the last list may be shorter."""
    iterator = iter(elements)
    while group := list(itertools.islice(iterator, size)):
        yield group


def _padded(batch: tf.Tensor, rows: int) -> tf.Tensor:
    """Lengthens a batch to `rows` rows by repeating its first row."""
    return tf.concat([batch, tf.repeat(batch[:1], rows - len(batch), axis=0)], axis=0) if len(batch) < rows else batch


def embed_source(
    backbone: keras.Model,
    source: Source,
    image_size: int,
    batch_size: int,
    verbose: bool = False,
    strategy: tf.distribute.Strategy = ONE_DEVICE,
) -> Features:
    """Embeds the evaluation crops of a data set into memory. Images that cannot be read are left out.

    Args:
        backbone: a network from images `[B, H, W, 3]` to features `[B, D]`.
        source: the images to embed.
        image_size: the side of the evaluation crop, pixels.
        batch_size: the number of images embedded at a time, on each replica.
        verbose: whether to show the beginning and the end of the work, and a bar in a terminal. Otherwise only work
            that takes minutes is shown, by one line a minute, and not in a terminal.
        strategy: the distribution strategy that the backbone was made under; its replicas share the work.

    Returns:
        The features, in the order of the source.

    Raises:
        FloatingPointError: if a feature is not finite.
    """
    parts, positions = [], []
    dataset = evaluation_dataset(source, image_size, batch_size)
    with embedding_progress(source, announced=verbose) as progress:
        for features, index in feature_batches(backbone, dataset, strategy):
            parts.append(features)
            positions.append(index)
            progress.add(len(features))
    index = np.concatenate(positions)
    return Features((np.concatenate(parts),), index, None if source.labels is None else source.labels[index])


def embedding_progress(source: Source, done: int = 0, announced: bool = True) -> Progress:
    """Logs which data set is embedded, and makes the progress over its images.

    Args:
        source: the images to embed.
        done: the number of images that are embedded already.
        announced: whether to show the beginning and the end of the work, and a bar in a terminal.
    """
    what = f"Embedding {source.name}"
    if announced:
        _log.info(what)
    return Progress(what, source.num_examples, "image", done, ends=announced)


def backbone_sha256(backbone: keras.Model) -> str:
    """Computes the SHA-256 of all variables of a backbone, the moving statistics of batch norm included."""
    return variables_sha256(backbone.variables)
