"""Devices: the strategy, the batch arithmetic, what crosses replicas, and what is compiled."""

import dataclasses
import functools
import json
import os
from collections.abc import Callable, Sequence

import keras
import tensorflow as tf

from simsiam_tf.config import DeviceConfig
from simsiam_tf.settings import UsageError, check

# What stands for no strategy at all: TensorFlow's own choice of one device.
_DEFAULT = tf.distribute.get_strategy()

# For variables that each replica assigns the same value to.
SAME_EVERYWHERE = {"aggregation": "only_first_replica", "autocast": False}


def num_replicas() -> int:
    """Replicas that the code being traced runs on (1 outside a strategy)."""
    return tf.distribute.get_strategy().num_replicas_in_sync


def all_reduce_mean(value: tf.Tensor) -> tf.Tensor:
    """Mean of `value` over the replicas; `value` itself where there is one. Differentiable."""
    return all_reduce_sum(value) / num_replicas() if num_replicas() > 1 else value


def all_reduce_sum(value: tf.Tensor) -> tf.Tensor:
    """Sum of `value` over the replicas; `value` itself where there is one. Differentiable."""
    if num_replicas() == 1:
        return value
    return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, value)


def all_gather(value: tf.Tensor) -> tf.Tensor:
    """The rows of every replica, one replica's after another's: `[B, ...]` to `[R B, ...]`. Differentiable.

    Made of an all-reduce, in which each replica fills its own place: that one works, and has its gradient, wherever
    replicas do.
    """
    if num_replicas() == 1:
        return value
    place = tf.one_hot(replica_id(), num_replicas(), dtype=value.dtype)
    placed = tf.reshape(place, [-1, *[1] * len(value.shape)]) * value[tf.newaxis]  # [R, B, ...]
    return tf.reshape(all_reduce_sum(placed), tf.concat([[-1], tf.shape(value)[1:]], axis=0))


def replica_id() -> tf.Tensor | int:
    """Which replica the code being traced runs on, counted from 0."""
    return tf.distribute.get_replica_context().replica_id_in_sync_group if num_replicas() > 1 else 0


def update_each(function: Callable, *variables: Sequence[keras.Variable], value: tf.Tensor | float = 0.0) -> None:
    """Calls a function that assigns to a variable, on each replica's own copies: nothing crosses replicas.

    Args:
        function: `function(assigned, value, *others)`, of tf.Variables and a tensor.
        *variables: those that are assigned to, and as many others as the function takes for each.
        value: the same on all replicas.
    """

    def merged(strategy, value):
        for assigned, *others in zip(*variables, strict=True):
            arguments = (value, *(other.value for other in others))
            strategy.extended.update(assigned.value, function, args=arguments, group=False)

    tf.distribute.get_replica_context().merge_call(merged, args=(tf.convert_to_tensor(value),))


def make_strategy(devices: DeviceConfig) -> tf.distribute.Strategy:
    """Makes the distribution strategy of a run. Call it before anything touches a device.

    Args:
        devices: `auto` is a TPU where one is named, the machines of TF_CONFIG where there are several, every GPU,
            else one device.

    Returns:
        The strategy.

    Raises:
        UsageError: if the named devices are not there.
    """
    strategy = devices.strategy
    if strategy == "tpu" or (strategy == "auto" and devices.tpu):
        check(devices.cpu_devices == 1, "A TPU takes no --cpu_devices above 1.", devices.cpu_devices)
        return _tpu_strategy(devices.tpu or "local")
    if strategy == "multiworker" or (strategy == "auto" and len(_workers()) > 1):
        return _multi_worker_strategy(devices)
    if devices.cpu_devices > 1:
        return _mirrored_cpus(devices.cpu_devices)
    gpus = tf.config.list_physical_devices("GPU")
    for gpu in gpus:
        tf.config.experimental.set_memory_growth(gpu, True)
    if strategy != "one" and len(gpus) > 1:
        return tf.distribute.MirroredStrategy()
    return tf.distribute.get_strategy()


def _mirrored_cpus(count):
    cpu = tf.config.list_physical_devices("CPU")[0]
    parts = [tf.config.LogicalDeviceConfiguration()] * count
    try:
        tf.config.set_logical_device_configuration(cpu, parts)
    except RuntimeError as error:
        raise UsageError("cpu_devices must be set before TensorFlow first uses a device.") from error
    return tf.distribute.MirroredStrategy([f"/cpu:{i}" for i in range(count)])


def _workers():
    """The addresses of TF_CONFIG, the chief's first."""
    text = os.environ.get("TF_CONFIG") or "{}"
    try:
        config = json.loads(text)
        cluster = config.get("cluster", {})
        found = [*cluster.get("chief", []), *cluster.get("worker", [])]
        if len(found) > 1:
            cluster[config["task"]["type"]][config["task"]["index"]]  # this process' own address
        return found
    except (ValueError, AttributeError, KeyError, IndexError, TypeError) as error:
        raise UsageError(
            'TF_CONFIG must be JSON as {"cluster": {"worker": ["HOST:PORT", ...]}, "task": {"type": "worker", '
            f'"index": 0}}}}, with another index on each machine. Received: {text}.'
        ) from error


def _multi_worker_strategy(devices):
    if len(_workers()) < 2:
        raise UsageError(
            "--strategy=multiworker needs TF_CONFIG with the addresses of at least two workers. "
            f"Received: {os.environ.get('TF_CONFIG') or 'no TF_CONFIG'}."
        )
    check(devices.cpu_devices == 1, "Several workers take no --cpu_devices above 1.", devices.cpu_devices)
    for gpu in tf.config.list_physical_devices("GPU"):
        tf.config.experimental.set_memory_growth(gpu, True)
    return tf.distribute.MultiWorkerMirroredStrategy()


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
        batch_size: B, images that one replica takes at a time.
        replicas: of this host.
        first_replica: number of this host's first one among all.
        all_replicas: of all hosts.
        parts: that each global batch is taken in, one after another.
    """

    batch_size: int
    replicas: int = 1
    first_replica: int = 0
    all_replicas: int = 1
    parts: int = 1


def dataset_of(
    strategy: tf.distribute.Strategy,
    make_dataset: Callable[[Share], tf.data.Dataset],
    global_batch_size: int,
    parts: int = 1,
):
    """What a training loop iterates over: each replica's batches, on their way to its device ahead of time.

    Args:
        strategy: of the run.
        make_dataset: the batches of a host's share: one replica's after another's.
        global_batch_size: images of a step over all replicas.
        parts: that a step's images are taken in.
    """

    def of_host(context):
        everyone = context.num_replicas_in_sync
        replicas = everyone // context.num_input_pipelines
        batch_size = per_replica_batch_size(global_batch_size, everyone, parts)
        return make_dataset(Share(batch_size, replicas, context.input_pipeline_id * replicas, everyone, parts))

    if strategy is _DEFAULT:
        dataset = of_host(tf.distribute.InputContext())
        gpus = tf.config.list_logical_devices("GPU")
        # The default strategy, unlike the others, does not fetch ahead.
        return dataset.apply(tf.data.experimental.prefetch_to_device(gpus[0].name)) if gpus else dataset
    return strategy.distribute_datasets_from_function(of_host)


def per_replica_batch_size(global_batch_size: int, replicas: int, parts: int = 1) -> int:
    """Images that each replica takes at a time: its share of one of the parts of a global batch.

    Raises:
        UsageError: if replicas and parts do not divide the batch: uneven shares would change the gradient.
    """
    shares = replicas * parts
    if global_batch_size % shares:
        times = f" times --accumulate_steps ({parts})" if parts > 1 else ""
        raise UsageError(
            f"--global_batch_size must be a multiple of the number of replicas ({replicas}){times}. "
            f"Received: {global_batch_size}; the nearest are {global_batch_size // shares * shares} "
            f"and {(global_batch_size // shares + 1) * shares}."
        )
    return global_batch_size // shares


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
        function: of tensors; with variables, only where there is one replica.
    """
    if isinstance(strategy, tf.distribute.TPUStrategy):
        return function
    return tf.function(function, jit_compile=True, autograph=False)


def compiles_step(strategy: tf.distribute.Strategy, jit: str) -> bool:
    """Whether the whole training step is to be compiled by XLA.

    Args:
        strategy: of the run.
        jit: `on`, `off`, or `auto`: where it was measured to be faster. On a CPU it is slower
            (docs/results/speed.md); a GPU has not been measured, so there it is left off too.

    Raises:
        UsageError: for `on` where TensorFlow cannot do it.
    """
    if jit != "on" or isinstance(strategy, tf.distribute.TPUStrategy):
        return False
    if strategy.num_replicas_in_sync > 1:
        raise UsageError(f"--jit=on needs one replica, or a TPU. Received: {strategy.num_replicas_in_sync} replicas.")
    if not has_accelerator(strategy) and not host_compiles():
        raise UsageError("--jit=on needs XLA, which this build of TensorFlow lacks for the CPU. Received: --jit=on.")
    return True
