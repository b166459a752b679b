"""Several workers, one on each machine: the first of them, the chief, alone reads and writes the run's folder."""

import contextlib
import functools
import zlib
from collections.abc import Iterator, Sequence

import tensorflow as tf

from simsiam_tf.errors import UsageError


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Whether this process is the one that writes; of several workers the first."""
    resolver = strategy.cluster_resolver
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy) or resolver is None:
        return True
    return resolver.task_type == "chief" or (resolver.task_id == 0 and "chief" not in resolver.cluster_spec().as_dict())


def copy_from_chief(strategy: tf.distribute.Strategy, variables: Sequence[tf.Variable]) -> None:
    """Gives every worker the chief's values, so that only the chief needs to see the checkpoints.

    Args:
        strategy: of the run.
        variables: made under it, the same on every worker.
    """
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return

    for dtype in dict.fromkeys(v.dtype for v in variables):
        alike = [v for v in variables if v.dtype == dtype]
        integers = {4: tf.int32, 8: tf.int64}[dtype.size]  # so that adding zeros changes no bit, -0.0's included
        by_replica = _copier(strategy)([tf.bitcast(tf.convert_to_tensor(v), integers) for v in alike])
        for variable, copy in zip(alike, by_replica, strict=True):
            variable.assign(tf.bitcast(strategy.experimental_local_results(copy)[0], dtype))


@functools.cache
def _copier(strategy):
    """Gives each replica the first one's tensors."""

    def of_first_replica(values):
        context = tf.distribute.get_replica_context()
        is_first = context.replica_id_in_sync_group == 0
        mine = [tf.where(is_first, value, tf.zeros_like(value)) for value in values]
        return context.all_reduce(tf.distribute.ReduceOp.SUM, mine)

    return tf.function(lambda values: strategy.run(of_first_replica, args=(values,)), autograph=False)


@contextlib.contextmanager
def naming_lost_workers(strategy: tf.distribute.Strategy) -> Iterator[None]:
    """Says in one sentence that another worker has gone; TensorFlow does in many.

    Raises:
        ConnectionError: if one has.
    """
    try:
        yield
    except (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.CancelledError):
        if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
            raise
        raise ConnectionError(
            "Another worker has gone, so this one stops; give each its command again to go on from the last checkpoint."
        ) from None


def chief_says(strategy: tf.distribute.Strategy, number: int) -> int:
    """The chief's number, on every worker."""
    with strategy.scope():
        told = tf.Variable(number, trainable=False)
    copy_from_chief(strategy, [told])
    return int(told.numpy())


def check_same_run(strategy: tf.distribute.Strategy, settings: str) -> None:
    """Sees to it that every worker is about to do what the chief does; else they would wait for each other for ever.

    Args:
        strategy: of the run.
        settings: all that the number and kind of steps depend on.

    Raises:
        UsageError: on a worker that was started otherwise.
    """
    mine = zlib.crc32(settings.encode()) >> 1
    if chief_says(strategy, mine) != mine:
        raise UsageError(
            "All workers must have the chief's flags and as many images; this one has others. Received: "
            + settings
            + "."
        )


def agreed(strategy: tf.distribute.Strategy, requests: Sequence[bool]) -> tuple[bool, ...]:
    """Says of each request whether any worker makes it."""
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return tuple(requests)
    return tuple(total > 0 for total in _summer(strategy)(tf.constant(requests, tf.float32)).numpy())


@functools.cache
def _summer(strategy):
    def total(mine):
        return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, tf.identity(mine))

    @tf.function(autograph=False)
    def of_all(mine):
        return strategy.experimental_local_results(strategy.run(total, args=(mine,)))[0]

    return of_all
