"""Devices: the strategy, the batch arithmetic, what crosses replicas, and what is compiled."""

import dataclasses
import functools
from collections.abc import Callable

import tensorflow as tf

from simsiam_tf.config import UsageError

# What stands for no strategy at all: TensorFlow's own choice of one device.
_DEFAULT = tf.distribute.get_strategy()


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
    strategy = tf.distribute.TPUStrategy(resolver)
    if strategy.extended.num_hosts > 1:
        raise UsageError(
            "A TPU must have one host: images are read by Python, which a pod's other hosts do not run. "
            f"Received: {tpu!r} with {strategy.extended.num_hosts} hosts."
        )
    return strategy


def has_accelerator(strategy: tf.distribute.Strategy) -> bool:
    """Whether the replicas run on GPUs or TPUs."""
    if strategy is _DEFAULT:
        return bool(tf.config.list_logical_devices("GPU"))
    return not all("CPU" in device for device in strategy.extended.worker_devices)


@dataclasses.dataclass(frozen=True)
class Share:
    """The part of each global batch that one host reads.

    Attributes:
        batch_size: B, images of one replica.
        replicas: of this host.
        first_replica: number of this host's first one among all.
    """

    batch_size: int
    replicas: int = 1
    first_replica: int = 0


def dataset_of(
    strategy: tf.distribute.Strategy, make_dataset: Callable[[Share], tf.data.Dataset], global_batch_size: int
):
    """What a training loop iterates over: each replica's batches, on their way to its device ahead of time.

    Args:
        strategy: of the run.
        make_dataset: the batches of a host's share: one replica's after another's.
        global_batch_size: images of a step over all replicas.
    """

    def of_host(context):
        replicas = context.num_replicas_in_sync // context.num_input_pipelines
        batch_size = per_replica_batch_size(global_batch_size, context.num_replicas_in_sync)
        return make_dataset(Share(batch_size, replicas, context.input_pipeline_id * replicas))

    if strategy is _DEFAULT:
        dataset = of_host(tf.distribute.InputContext())
        gpus = tf.config.list_logical_devices("GPU")
        # The default strategy, unlike the others, does not fetch ahead.
        return dataset.apply(tf.data.experimental.prefetch_to_device(gpus[0].name)) if gpus else dataset
    return strategy.distribute_datasets_from_function(of_host)


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


@functools.cache
def host_compiles() -> bool:
    """Whether XLA compiles for the CPU here; in tensorflow-tpu it does not."""
    try:
        with tf.init_scope(), tf.device("/cpu:0"):  # tf.data may be what is being traced
            return bool(tf.function(lambda: tf.constant(True), jit_compile=True)())
    except tf.errors.OpError:
        return False


def compiled_on_host(function: Callable) -> Callable:
    """The function compiled by XLA where that works: in tf.data, several times as fast as op by op.

    Args:
        function: of tensors.
    """
    return tf.function(function, jit_compile=True, autograph=False) if host_compiles() else function


def compiled(strategy: tf.distribute.Strategy, function: Callable) -> Callable:
    """The function compiled by XLA, for use inside a replica; a TPU compiles the whole step anyway.

    Args:
        strategy: of the replica.
        function: of tensors; without variables.
    """
    if isinstance(strategy, tf.distribute.TPUStrategy):
        return function
    return tf.function(function, jit_compile=True, autograph=False)
