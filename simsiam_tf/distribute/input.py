"""Which part of each global batch a host reads, and how it reaches its devices."""

import dataclasses
from collections.abc import Callable

import tensorflow as tf

from simsiam_tf.distribute.strategy import DEFAULT
from simsiam_tf.errors import UsageError


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

    if strategy is DEFAULT:
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
