"""Makes the distribution strategy of a run, which defines the devices that share the work."""

import json
import logging
import os

import tensorflow as tf

from simsiam_tf.config.devices import DeviceConfig
from simsiam_tf.distribute import reach, slurm
from simsiam_tf.errors import UsageError, check

_log = logging.getLogger(__name__)

# TensorFlow's default strategy, which runs everything on one device.
ONE_DEVICE = tf.distribute.get_strategy()


def make_strategy(devices: DeviceConfig) -> tf.distribute.Strategy:
    """Makes the distribution strategy of a run. It must be called before TensorFlow first uses a device.

    The strategy `auto` takes the first of these that is given: a TPU that --tpu names, several workers in TF_CONFIG,
    several tasks of a SLURM job step, several logical CPU devices (--cpu_devices), several GPUs, one device.

    Args:
        devices: the settings of the devices.

    Returns:
        The strategy; `ONE_DEVICE` if one device does all the work.

    Raises:
        UsageError: if the requested devices do not exist or cannot be combined, or if TF_CONFIG is malformed.
    """
    strategy = devices.strategy
    if strategy == "tpu" or (strategy == "auto" and devices.tpu):
        check(devices.cpu_devices == 1, "--cpu_devices must be 1 with a TPU.", devices.cpu_devices)
        return _tpu_strategy(devices.tpu or "local")
    is_step = "TF_CONFIG" not in os.environ and slurm.is_step_of_several_tasks()
    if strategy == "slurm" or (strategy == "auto" and is_step):
        os.environ["TF_CONFIG"] = slurm.tf_config_of_step()  # from here on the tasks are workers like any others
        strategy = "multiworker" if len(_worker_addresses()) > 1 else "auto"
        if strategy == "multiworker":
            _log.info(
                "The tasks of this SLURM step train one run; --strategy=mirrored makes each task a run of its own."
            )
    if strategy == "multiworker" or (strategy == "auto" and len(_worker_addresses()) > 1):
        return _multi_worker_strategy(devices)
    if devices.cpu_devices > 1:
        return _mirrored_cpus(devices.cpu_devices)
    gpus = _growing_gpus()
    return tf.distribute.MirroredStrategy() if strategy != "one" and len(gpus) > 1 else ONE_DEVICE


def has_accelerator(strategy: tf.distribute.Strategy) -> bool:
    """Returns whether the replicas run on GPUs or TPUs."""
    if strategy is ONE_DEVICE:
        return bool(tf.config.list_logical_devices("GPU"))
    return not all("CPU" in device for device in strategy.extended.worker_devices)


def hosts_of_tpu(strategy: tf.distribute.Strategy) -> int:
    """Returns the number of hosts of a TPU; 1 for every other strategy."""
    return strategy.extended.num_hosts if isinstance(strategy, tf.distribute.TPUStrategy) else 1


def _tpu_strategy(tpu: str) -> tf.distribute.TPUStrategy:
    """Connects to a TPU."""
    try:
        if tpu != "local" and not tpu.startswith("grpc://"):
            reach.check_google_client()
        with reach.limited_waiting():
            resolver = tf.distribute.cluster_resolver.TPUClusterResolver(tpu=tpu)
            if tpu != "local":
                reach.check_servers([a for job in resolver.cluster_spec().as_dict().values() for a in job])
            tf.config.experimental_connect_to_cluster(resolver)
            tf.tpu.experimental.initialize_tpu_system(resolver)
            return tf.distribute.TPUStrategy(resolver)
    except Exception as error:  # of any kind: the packages that TensorFlow asks Google's cloud by have their own
        reason = " ".join(str(error).split()).rstrip(".") or type(error).__name__
        raise UsageError(f"--tpu must name a TPU that can be reached ({reason[:300]}). Received: {tpu!r}.") from error


def _multi_worker_strategy(devices: DeviceConfig) -> tf.distribute.MultiWorkerMirroredStrategy:
    """Connects to the other workers that TF_CONFIG names."""
    if len(_worker_addresses()) < 2:
        raise UsageError(
            "--strategy=multiworker needs TF_CONFIG with the addresses of at least two workers. "
            f"Received: {os.environ.get('TF_CONFIG') or 'no TF_CONFIG'}."
        )
    check(devices.cpu_devices == 1, "--cpu_devices must be 1 with several workers.", devices.cpu_devices)
    _growing_gpus()
    return tf.distribute.MultiWorkerMirroredStrategy()


def _worker_addresses() -> list[str]:
    """Reads the addresses of all workers from TF_CONFIG, the chief first; there are none without TF_CONFIG."""
    text = os.environ.get("TF_CONFIG") or "{}"
    try:
        config = json.loads(text)
        cluster = config.get("cluster", {})
        found = [*cluster.get("chief", []), *cluster.get("worker", [])]
        if len(found) > 1:
            cluster[config["task"]["type"]][config["task"]["index"]]  # raises if this process has no address
        return found
    except (ValueError, AttributeError, KeyError, IndexError, TypeError) as error:
        raise UsageError(
            'TF_CONFIG must be JSON as {"cluster": {"worker": ["HOST:PORT", ...]}, "task": {"type": "worker", '
            f'"index": 0}}}}, with another index on each machine. Received: {text}.'
        ) from error


def _mirrored_cpus(count: int) -> tf.distribute.MirroredStrategy:
    """Splits the CPU into logical devices, and makes one replica on each."""
    cpu = tf.config.list_physical_devices("CPU")[0]
    parts = [tf.config.LogicalDeviceConfiguration()] * count
    try:
        tf.config.set_logical_device_configuration(cpu, parts)
    except RuntimeError as error:
        raise UsageError(
            f"--cpu_devices must be set before TensorFlow first uses a device. Received: {count}."
        ) from error
    return tf.distribute.MirroredStrategy([f"/cpu:{i}" for i in range(count)])


def _growing_gpus() -> list[tf.config.PhysicalDevice]:
    """Returns the GPUs, after telling TensorFlow to take their memory as needed instead of all at once."""
    gpus = tf.config.list_physical_devices("GPU")
    for gpu in gpus:
        tf.config.experimental.set_memory_growth(gpu, True)
    return gpus
