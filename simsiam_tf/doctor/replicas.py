"""Checks that batch norm over several devices gives the numbers of one device, in float64."""

from typing import Any

import numpy as np
import tensorflow as tf

from simsiam_tf.doctor.checks import Asked, Outcome
from simsiam_tf.doctor.training_step import in_precision
from simsiam_tf.networks.normalization import BatchNormalization

_CHANNELS = 5
# The greatest difference that is allowed of numbers near 1; docs/results/scaling.md has 1e-9 for whole runs.
TOLERANCE = 1e-9


def batch_norm(asked: Asked) -> Outcome:
    """Compares batch norm, its gradient and its moving statistics over all devices with those of one device.

    Without two GPUs, the CPU is divided into two logical devices, which communicate by the same ops.

    Args:
        asked: not used: the devices of this machine are judged.
    """
    gpus = tf.config.list_physical_devices("GPU")
    if len(gpus) > 1:
        for gpu in gpus:
            tf.config.experimental.set_memory_growth(gpu, True)
        strategy, what = tf.distribute.MirroredStrategy(), f"{len(gpus)} GPUs"
    else:
        _divide_cpu()
        strategy, what = tf.distribute.MirroredStrategy(["/cpu:0", "/cpu:1"]), "2 halves of the CPU"
    return compare(strategy, what)


def _divide_cpu() -> None:
    cpu = tf.config.list_physical_devices("CPU")[0]
    if len(tf.config.get_logical_device_configuration(cpu) or ()) < 2:
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)


def compare(strategy: tf.distribute.Strategy, what: str) -> Outcome:
    """Judges batch norm under a strategy.

    Args:
        strategy: a strategy of several replicas.
        what: the devices, as a phrase.
    """
    replicas = strategy.num_replicas_in_sync
    images = np.random.RandomState(0).standard_normal((4 * replicas, 3, 3, _CHANNELS))
    images = images * np.arange(1, 1 + _CHANNELS) + np.arange(4 * replicas)[:, np.newaxis, np.newaxis, np.newaxis]
    with in_precision("float64"):
        several = _normalized(strategy, images)
        one = _normalized(tf.distribute.get_strategy(), images)
    difference = max(float(np.max(np.abs(a - b))) for a, b in zip(several, one, strict=True))
    value = f"{what} agree with one device to {difference:.1g}"
    if difference <= TOLERANCE:
        return Outcome("pass", value)
    advice = "train on one device (--strategy=one) until the communication between the devices is mended"
    return Outcome("fail", f"{value}; at most {TOLERANCE:g} is allowed", advice)


def _normalized(strategy: tf.distribute.Strategy, images: np.ndarray) -> list[np.ndarray]:
    """Returns the normalised images, the gradient of a function of them, and the moving statistics."""
    share = len(images) // strategy.num_replicas_in_sync
    with strategy.scope():
        layer = BatchNormalization()
        layer.build((None, *images.shape[1:]))

    def part(context: Any) -> tf.Tensor:
        return tf.constant(images[share * context.replica_id_in_sync_group :][:share])

    def apply(x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x, training=True)
            loss = tf.reduce_sum(y * tf.cos(x))
        return y, tape.gradient(loss, x)

    parts = strategy.experimental_distribute_values_from_function(part)
    outputs = tf.function(lambda: strategy.run(apply, args=(parts,)), autograph=False)()
    joined = [np.concatenate([x.numpy() for x in strategy.experimental_local_results(each)]) for each in outputs]
    return [*joined, layer.moving_mean.numpy(), layer.moving_variance.numpy()]
