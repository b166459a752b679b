"""Estimates the statistics of batch norm anew before an evaluation, from more images than the moving averages hold.

A detector is trained on few images in a step, and its moving averages follow the last of them while the weights still
change. MoCo's detection evaluates with statistics that are estimated at fixed weights, and so does this one.
"""

import contextlib
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from simsiam_tf.detection.c4 import Detector, normalised
from simsiam_tf.features.metrics import finite
from simsiam_tf.networks.normalization import BatchNormalization, showing_bad_statistics


@contextlib.contextmanager
def estimated_statistics(detector: Detector, batches: Iterable[Any], strategy: tf.distribute.Strategy) -> Iterator[int]:
    """Gives batch norm the mean statistics of some batches inside a `with` block, and its moving averages after it.

    The mean of a channel is the mean over the batches, and so is its variance. Nothing else changes; without a batch
    the moving averages stay.

    Args:
        detector: the detector.
        batches: batches of levels, as `normalised` takes them, distributed as for a training step.
        strategy: the distribution strategy that the detector was made under.

    Yields:
        The number of batches.

    Raises:
        FloatingPointError: if a statistic is not finite.

    Example:
        with estimated_statistics(detector, batches, strategy):
            found, masks = detector.detect(images, sizes)
    """
    layers = [layer for layer in detector._flatten_layers() if isinstance(layer, BatchNormalization)]
    moving = [variable for layer in layers for variable in (layer.moving_mean, layer.moving_variance)]
    weights = [1.0 - layer.bn_momentum for layer in layers for _ in range(2)]
    before = [variable.numpy() for variable in moving]

    def measure(batch: dict[str, Any]) -> None:
        for variable in moving:  # so that the moving average becomes a known part of the batch's own statistics
            variable.assign(tf.zeros_like(variable))
        with showing_bad_statistics():
            detector.compute_ssl_loss(normalised(batch), training=True)

    step = tf.function(lambda batch: strategy.run(measure, args=(batch,)), autograph=False)
    totals, count = [np.zeros(value.shape) for value in before], 0
    try:
        for batch in batches:
            step(batch)
            for total, variable, weight in zip(totals, moving, weights, strict=True):
                total += variable.numpy() / weight
            count += 1
        for variable, total, value in zip(moving, totals, before, strict=True):
            mean = finite(total / count, f"statistic of {variable.path}") if count else value
            variable.assign(mean.astype(value.dtype))
        yield count
    finally:
        for variable, value in zip(moving, before, strict=True):
            variable.assign(value)
