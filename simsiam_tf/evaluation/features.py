"""Features of a data set, from the frozen backbone in eval mode."""

from collections.abc import Iterator
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from simsiam_tf.data.pipeline import evaluation_dataset
from simsiam_tf.data.sources import Source
from simsiam_tf.progress import progress_bar


class LabelledFeatures(NamedTuple):
    """Features and what they are features of.

    Attributes:
        features: `[N, D] float32`.
        labels: `[N] int64`.
    """

    features: np.ndarray
    labels: np.ndarray


@tf.function(reduce_retracing=True, autograph=False)
def _embed(backbone, batch):  # traced once for each backbone, however often that is judged
    return tf.cast(backbone(batch, training=False), tf.float32)


def feature_batches(backbone: keras.Model, images: tf.data.Dataset) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Embeds a data set batch by batch.

    Args:
        backbone: images `[B, H, W, 3]` to features `[B, D]`.
        images: normalised images and their positions, as from `evaluation_dataset`.

    Yields:
        Features `[B, D] float32` and positions `[B] int64`.
    """

    for batch, index in images:
        yield _embed(backbone, batch).numpy(), index.numpy()


def embed_source(
    backbone: keras.Model,
    source: Source,
    image_size: int,
    batch_size: int,
    verbose: bool = False,
) -> LabelledFeatures:
    """Embeds a labelled data set, all of it that can be read, in the evaluation crop.

    Args:
        backbone: images `[B, H, W, 3]` to features `[B, D]`.
        source: labelled images.
        image_size: of the crop, pixels.
        batch_size: images at a time.
        verbose: show progress.

    Returns:
        Features and labels, in the source's order.

    Raises:
        ValueError: if the source has no labels.
    """
    if source.labels is None:
        raise ValueError(f"Only labelled images can be judged by. Received: {source.name}.")
    bar = None
    if verbose:
        print(f"Embedding {source.name}")
        bar = progress_bar(source.num_examples, "image")
    parts, positions = [], []
    dataset = evaluation_dataset(source, image_size, batch_size)
    for features, index in feature_batches(backbone, dataset):
        parts.append(features)
        positions.append(index)
        if bar is not None:
            bar.add(len(features))
    return LabelledFeatures(np.concatenate(parts), source.labels[np.concatenate(positions)])
