"""Devices: the strategy, the batch arithmetic, and what crosses replicas."""

import tensorflow as tf

from simsiam_tf.config import UsageError


def num_replicas() -> int:
    """Replicas that the code being traced runs on (1 outside a strategy)."""
    return tf.distribute.get_strategy().num_replicas_in_sync


def all_reduce_mean(value: tf.Tensor) -> tf.Tensor:
    """Mean of `value` over the replicas; `value` itself where there is one. Differentiable."""
    if num_replicas() == 1:
        return value
    context = tf.distribute.get_replica_context()
    return context.all_reduce(tf.distribute.ReduceOp.SUM, value) / num_replicas()


def make_strategy(strategy: str = "auto", cpu_devices: int = 1, tpu: str = "") -> tf.distribute.Strategy:
    """Makes the distribution strategy of a run. Call it before anything touches a device.

    Args:
        strategy: `auto` (a TPU where one is named, every GPU, else one device), `one`, `mirrored` or `tpu`.
        cpu_devices: split the CPU into this many logical devices, to try several replicas without any GPU.
        tpu: name of the Cloud TPU, or `local`.

    Returns:
        The strategy.

    Raises:
        UsageError: if the named devices are not there.
    """
    if strategy == "tpu" or (strategy == "auto" and tpu):
        return _tpu_strategy(tpu or "local")
    if strategy == "one" and cpu_devices > 1:
        raise UsageError(f"--strategy=one uses one device; leave --cpu_devices at 1. Received: {cpu_devices}.")
    gpus = tf.config.list_physical_devices("GPU")
    if cpu_devices > 1:
        cpu = tf.config.list_physical_devices("CPU")[0]
        parts = [tf.config.LogicalDeviceConfiguration()] * cpu_devices
        try:
            tf.config.set_logical_device_configuration(cpu, parts)
        except RuntimeError as error:
            raise UsageError("cpu_devices must be set before TensorFlow first uses a device.") from error
        return tf.distribute.MirroredStrategy([f"/cpu:{i}" for i in range(cpu_devices)])
    for gpu in gpus:
        tf.config.experimental.set_memory_growth(gpu, True)
    if strategy == "mirrored" or (strategy == "auto" and len(gpus) > 1):
        return tf.distribute.MirroredStrategy()
    return tf.distribute.get_strategy()


def _tpu_strategy(tpu):
    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver(tpu=tpu)
        tf.config.experimental_connect_to_cluster(resolver)
        tf.tpu.experimental.initialize_tpu_system(resolver)
    except (ValueError, tf.errors.OpError) as error:
        raise UsageError(f"No TPU answers under the name given by --tpu. Received: {tpu!r}.") from error
    return tf.distribute.TPUStrategy(resolver)


def per_replica_batch_size(global_batch_size: int, replicas: int) -> int:
    """Images that each replica takes of one global batch.

    Raises:
        UsageError: if the replicas do not divide the batch: uneven shares would change the gradient.
    """
    if global_batch_size % replicas:
        raise UsageError(
            f"--global_batch_size must be a multiple of the number of replicas ({replicas}). "
            f"Received: {global_batch_size}; the nearest are {global_batch_size // replicas * replicas} "
            f"and {(global_batch_size // replicas + 1) * replicas}."
        )
    return global_batch_size // replicas
