"""Opens the devices and the images of a run, once for all checks of a process."""

import functools
import os

import tensorflow as tf

from simsiam_tf.config.run import Config
from simsiam_tf.distribute.strategy import hosts_of_tpu, make_strategy
from simsiam_tf.errors import UsageError
from simsiam_tf.training import factory, slices
from simsiam_tf.training.data_record import as_started
from simsiam_tf.training.opened_run import OpenedImages

_AT_ONCE = 64


@functools.cache
def strategy_of(config: Config) -> tf.distribute.Strategy:
    """Makes the distribution strategy of a run, as train.py does.

    Args:
        config: the settings of the run.

    Raises:
        UsageError: if the devices do not exist, or the run is one on several machines.
    """
    if "TF_CONFIG" in os.environ or config.devices.strategy in ("multiworker", "slurm"):
        raise UsageError(
            "The doctor judges one machine; ask on each machine without TF_CONFIG, with --strategy=auto and with the "
            "machine's share of --global_batch_size. Received: a run on several machines."
        )
    slices.check_settings(config, len(config.devices.tpu_addresses))
    strategy = make_strategy(config.devices)
    slices.check_settings(config, hosts_of_tpu(strategy))
    if config.devices.deterministic:
        tf.config.experimental.enable_op_determinism()
    factory.set_precision(config.devices.precision)
    return strategy


@functools.cache
def started(config: Config) -> Config:
    """Returns the settings with which a run in its folder was started, as train.py resumes it."""
    return as_started(config)


@functools.cache
def images_of(config: Config) -> OpenedImages:
    """Opens the images of a run, and looks at the first ones.

    Args:
        config: the settings of the run.

    Raises:
        UsageError: if there is no such data set, or it cannot be used.
    """
    return OpenedImages.open(config, strategy_of(config))


def read_at_once(config: Config, replicas: int) -> int:
    """Returns how many images are read at once for measuring: a replica's batch, or 64 images of it.

    What is compiled for this number then serves several checks.

    Args:
        config: the settings of the run.
        replicas: the number of replicas.
    """
    return max(1, min(config.data.global_batch_size // config.devices.accumulate_steps // replicas, _AT_ONCE))
