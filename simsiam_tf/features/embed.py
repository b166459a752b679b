"""Features of a data set, from the frozen backbone in eval mode: in memory, or on disk for every protocol to share."""

import dataclasses
import functools
import itertools
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
from simsiam_tf.progress import progress_bar


@dataclasses.dataclass(frozen=True)
class Features:
    """Features and what they are features of; where they come from disk, they stay there until they are asked for.

    Attributes:
        parts: `[n, D] float32` each, N rows in all.
        index: `[N] int64`, positions in the source; unreadable images are missing.
        labels: `[N] int64`, or `None`.
    """

    parts: tuple[np.ndarray, ...]
    index: np.ndarray
    labels: np.ndarray | None

    @classmethod
    def from_array(cls, features: np.ndarray, labels: np.ndarray | None = None) -> "Features":
        """Features `[N, D]` that lie in memory."""
        return cls((np.asarray(features, np.float32),), np.arange(len(features)), labels)

    def __len__(self) -> int:
        return len(self.index)

    @property
    def dim(self) -> int:
        """D."""
        return self.parts[0].shape[1]

    @property
    def known_labels(self) -> np.ndarray:
        """`labels`, where there must be some.

        Raises:
            ValueError: if there are none.
        """
        if self.labels is None:
            raise ValueError(
                "Only the features of labelled images can be judged by. Received: features without labels."
            )
        return self.labels

    def chunks(self, rows: int) -> Iterator[tuple[int, np.ndarray]]:
        """Row numbers and the features `[n, D]` from there on, at most `rows` at a time."""
        first = 0
        for part in self.parts:
            for start in range(0, len(part), rows):
                yield first + start, np.asarray(part[start : start + rows])
            first += len(part)

    def take(self, rows: np.ndarray) -> np.ndarray:
        """The features `[n, D]` of certain rows `[n]`, in their order."""
        if len(self.parts) == 1:
            return self.parts[0][rows]
        starts = np.cumsum([0, *(len(part) for part in self.parts)])
        of_part = np.searchsorted(starts, rows, side="right") - 1
        taken = np.empty((len(rows), self.dim), np.float32)
        for number in np.unique(of_part):
            mine = of_part == number
            taken[mine] = self.parts[number][rows[mine] - starts[number]]
        return taken

    def loaded(self) -> np.ndarray:
        """All of them `[N, D]`, in memory."""
        return np.concatenate(self.parts)


@functools.cache
def _embedder(strategy: tf.distribute.Strategy) -> Callable[..., Any]:
    """Embeds one batch for each replica, or the one there is; traced once for each backbone."""

    def embed(backbone: keras.Model, batch: tf.Tensor) -> tf.Tensor:
        return tf.cast(backbone(batch, training=False), tf.float32)

    if strategy is ONE_DEVICE:
        return tf.function(embed, reduce_retracing=True, autograph=False)
    return tf.function(lambda backbone, batch: strategy.run(embed, args=(backbone, batch)), autograph=False)


def feature_batches(
    backbone: keras.Model, images: tf.data.Dataset, strategy: tf.distribute.Strategy = ONE_DEVICE
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Embeds a data set batch by batch, in its order.

    Args:
        backbone: images `[B, H, W, 3]` to features `[B, D]`, made under the strategy.
        images: normalised images and their positions, as from `evaluation_dataset`.
        strategy: whose replicas share the work, a batch each.

    Yields:
        Features `[B, D] float32` and positions `[B] int64`.

    Raises:
        FloatingPointError: if a feature is not finite: nothing can be judged by it.
    """
    embed = _embedder(strategy)
    if strategy is ONE_DEVICE:
        for batch, index in images:
            yield metrics.finite(embed(backbone, batch).numpy(), "feature"), index.numpy()
        return
    whole = 0  # every replica gets as many images, the last ones some again: a TPU compiles for one shape
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
    iterator = iter(elements)
    while group := list(itertools.islice(iterator, size)):
        yield group


def _padded(batch: tf.Tensor, rows: int) -> tf.Tensor:
    return tf.concat([batch, tf.repeat(batch[:1], rows - len(batch), axis=0)], axis=0) if len(batch) < rows else batch


def embed_source(
    backbone: keras.Model,
    source: Source,
    image_size: int,
    batch_size: int,
    verbose: bool = False,
    strategy: tf.distribute.Strategy = ONE_DEVICE,
) -> Features:
    """Embeds a data set into memory, all of it that can be read, in the evaluation crop.

    Args:
        backbone: images `[B, H, W, 3]` to features `[B, D]`.
        source: the images.
        image_size: of the crop, pixels.
        batch_size: images at a time.
        verbose: show progress.
        strategy: as for `feature_batches`.
    """
    bar = embedding_bar(source) if verbose else None
    parts, positions = [], []
    dataset = evaluation_dataset(source, image_size, batch_size)
    for features, index in feature_batches(backbone, dataset, strategy):
        parts.append(features)
        positions.append(index)
        if bar is not None:
            bar.add(len(features))
    index = np.concatenate(positions)
    return Features((np.concatenate(parts),), index, None if source.labels is None else source.labels[index])


def embedding_bar(source: Source, done: int = 0) -> keras.utils.Progbar:
    """Says what is embedded, and returns a progress bar of which `done` images are behind."""
    print(f"Embedding {source.name}")
    bar = progress_bar(source.num_examples, "image")
    if done:
        bar.add(done)
    return bar


def backbone_sha256(backbone: keras.Model) -> str:
    """Computes a fingerprint of every variable of a backbone, batch norm's moving statistics included."""
    return variables_sha256(backbone.variables)
