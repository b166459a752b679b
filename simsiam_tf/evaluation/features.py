"""Features of a data set, from the frozen backbone in eval mode."""

import keras
import numpy as np
import tensorflow as tf


def extract_features(backbone: keras.Model, images: tf.data.Dataset, count: int, progress: str = "") -> np.ndarray:
    """Embeds a data set.

    Args:
        backbone: images `[B, H, W, 3]` to features `[B, D]`.
        images: batches of normalised images.
        count: how many images there are, for the progress bar.
        progress: label of a progress bar; empty: none.

    Returns:
        `[N, D] float32`.
    """

    @tf.function(reduce_retracing=True, autograph=False)
    def embed(batch):
        dtype = backbone.compute_dtype
        return tf.cast(backbone(tf.cast(batch, dtype), training=False), tf.float32)

    bar = keras.utils.Progbar(count, unit_name="image") if progress else None
    if bar:
        print(progress)
    parts, done = [], 0
    for batch in images:
        parts.append(embed(batch).numpy())
        done += len(parts[-1])
        if bar:
            bar.update(done)
    return np.concatenate(parts)
