"""Keeps representations of earlier batches in a queue, as MoCo and SwAV do."""

import keras
import tensorflow as tf


def put_into_queue(queue: keras.Variable, newest: tf.Tensor) -> None:
    """Puts the newest rows at the beginning of a queue, and drops as many at its end.

    Rows that are not finite numbers stay outside, with all others of their batch: the step that made them is left out.

    Args:
        queue: the queue, `[N, ...]`.
        newest: the rows of the global batch, `[B, ...]`, the same on every replica.
    """
    moved = tf.concat([newest, queue], axis=0)[: queue.shape[0]]
    queue.assign(tf.where(tf.reduce_all(tf.math.is_finite(newest)), moved, queue))
