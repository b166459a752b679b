"""Divides the input of a step: each host reads its share of a global batch, and feeds its own devices."""

import dataclasses
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from simsiam_tf.distribute.strategy import ONE_DEVICE
from simsiam_tf.errors import UsageError


@dataclasses.dataclass(frozen=True)
class Share:
    """Describes the part of each global batch that one host reads.

    Attributes:
        batch_size: B, the number of images that one replica takes at a time.
        replicas: the number of replicas of this host.
        first_replica: the number of this host's first replica among the replicas of all hosts, counted from 0.
        all_replicas: the number of replicas of all hosts.
        parts: the number of parts in which each global batch is computed, one after another.
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
) -> Any:
    """Makes the data set that a training loop iterates over. Batches are sent to the devices ahead of time.

    Args:
        strategy: the distribution strategy of the run.
        make_dataset: a function that makes the batches of a host's share. Each batch is for one replica; consecutive
            batches belong to consecutive replicas.
        global_batch_size: the number of images in a step, over all replicas.
        parts: the number of parts in which each global batch is computed.

    Returns:
        With one device, a `tf.data.Dataset`. With several, the distributed data set of the strategy; each of its
        elements has a batch for every replica of this host.

    Raises:
        UsageError: if the global batch cannot be divided evenly among replicas and parts.
    """

    def of_host(context: tf.distribute.InputContext) -> tf.data.Dataset:
        all_replicas = context.num_replicas_in_sync
        replicas = all_replicas // context.num_input_pipelines
        share = Share(
            batch_size=per_replica_batch_size(global_batch_size, all_replicas, parts),
            replicas=replicas,
            first_replica=context.input_pipeline_id * replicas,
            all_replicas=all_replicas,
            parts=parts,
        )
        return make_dataset(share)

    if strategy is not ONE_DEVICE:
        return strategy.distribute_datasets_from_function(of_host)
    dataset = of_host(tf.distribute.InputContext())
    gpus = tf.config.list_logical_devices("GPU")
    # Unlike the others, TensorFlow's default strategy does not send batches ahead.
    return dataset.apply(tf.data.experimental.prefetch_to_device(gpus[0].name)) if gpus else dataset


def per_replica_batch_size(global_batch_size: int, replicas: int, parts: int = 1) -> int:
    """Computes how many images each replica takes at a time.

    Args:
        global_batch_size: the number of images in a step, over all replicas.
        replicas: the number of replicas of all hosts.
        parts: the number of parts in which each global batch is computed.

    Returns:
        The global batch size divided by the numbers of replicas and parts.

    Raises:
        UsageError: if it cannot be divided evenly. Uneven shares would change the gradient.
    """
    shares = replicas * parts
    if global_batch_size % shares:
        times = f" times --accumulate_steps ({parts})" if parts > 1 else ""
        below, above = global_batch_size // shares * shares, (global_batch_size // shares + 1) * shares
        nearest = f"the nearest are {below} and {above}" if below else f"the nearest is {above}"
        raise UsageError(
            f"--global_batch_size must be a multiple of the number of replicas ({replicas}){times}. "
            f"Received: {global_batch_size}; {nearest}."
        )
    return global_batch_size // shares
