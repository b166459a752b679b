"""Several workers, one on each machine. The first of them, the chief, alone reads and writes the run's folder.

With one worker every function is the identity, or does nothing.
"""

import contextlib
import functools
import zlib
from collections.abc import Callable, Iterator, Sequence

import tensorflow as tf

from simsiam_tf.errors import UsageError


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Returns whether this process is the one that writes: the only worker, or the first of several."""
    resolver = strategy.cluster_resolver
    if not _has_workers(strategy) or resolver is None:
        return True
    return resolver.task_type == "chief" or (resolver.task_id == 0 and "chief" not in resolver.cluster_spec().as_dict())


def copy_from_chief(strategy: tf.distribute.Strategy, variables: Sequence[tf.Variable]) -> None:
    """Assigns the chief's values to the variables of every worker. So only the chief needs to see the checkpoints.

    Args:
        strategy: the distribution strategy of the run.
        variables: variables that were made under it, the same on every worker.
    """
    if not _has_workers(strategy):
        return
    for dtype in dict.fromkeys(v.dtype for v in variables):
        alike = [v for v in variables if v.dtype == dtype]
        integers = {4: tf.int32, 8: tf.int64}[dtype.size]  # so that adding zeros changes no bit, -0.0's included
        by_replica = _copier(strategy)([tf.bitcast(tf.convert_to_tensor(v), integers) for v in alike])
        for variable, copy in zip(alike, by_replica, strict=True):
            variable.assign(tf.bitcast(strategy.experimental_local_results(copy)[0], dtype))


def broadcast_from_chief(strategy: tf.distribute.Strategy, number: int) -> int:
    """Returns the chief's number, on every worker.

    Args:
        strategy: the distribution strategy of the run.
        number: this worker's own number, from -2^31 to 2^31 - 1.
    """
    with strategy.scope():
        told = tf.Variable(number, trainable=False)
    copy_from_chief(strategy, [told])
    return int(told.numpy())


def agreed(strategy: tf.distribute.Strategy, requests: Sequence[bool]) -> tuple[bool, ...]:
    """Finds out which requests are made by any worker, so that all of them grant the same ones.

    Every worker must call it after the same step.

    Args:
        strategy: the distribution strategy of the run.
        requests: whether this worker makes each request, such as to save or to stop.

    Returns:
        Whether any worker makes each request; with one worker, `requests`.
    """
    if not _has_workers(strategy):
        return tuple(requests)
    return tuple(bool(total > 0) for total in _summer(strategy)(tf.constant(requests, tf.float32)).numpy())


def check_same_run(strategy: tf.distribute.Strategy, settings: str) -> None:
    """Checks that every worker is about to do what the chief does. Otherwise they would wait for each other for ever.

    Args:
        strategy: the distribution strategy of the run.
        settings: a text with everything that the number and kind of steps depend on.

    Raises:
        UsageError: on a worker whose settings are not the chief's.
    """
    mine = zlib.crc32(settings.encode()) >> 1
    if broadcast_from_chief(strategy, mine) != mine:
        raise UsageError(
            "All workers must have the chief's flags and as many images; this one has others. Received: "
            + settings
            + "."
        )


@contextlib.contextmanager
def naming_lost_workers(strategy: tf.distribute.Strategy) -> Iterator[None]:
    """Says in one sentence that another worker has gone; TensorFlow takes many.

    Raises:
        ConnectionError: if another worker has gone.
    """
    try:
        yield
    except (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.CancelledError):
        if not _has_workers(strategy):
            raise
        raise ConnectionError(
            "Another worker has gone, so this one stops; give each its command again to go on from the last checkpoint."
        ) from None


def _has_workers(strategy: tf.distribute.Strategy) -> bool:
    return isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)


# One traced function for each strategy: tracing again in each step would be slow.


@functools.cache
def _copier(strategy: tf.distribute.Strategy) -> Callable[[list[tf.Tensor]], list[tf.Tensor]]:
    """Makes the function that gives every replica the first replica's tensors."""

    def of_first_replica(values: list[tf.Tensor]) -> list[tf.Tensor]:
        context = tf.distribute.get_replica_context()
        is_first = context.replica_id_in_sync_group == 0
        mine = [tf.where(is_first, value, tf.zeros_like(value)) for value in values]
        return context.all_reduce(tf.distribute.ReduceOp.SUM, mine)

    return tf.function(lambda values: strategy.run(of_first_replica, args=(values,)), autograph=False)


@functools.cache
def _summer(strategy: tf.distribute.Strategy) -> Callable[[tf.Tensor], tf.Tensor]:
    """Makes the function that sums a tensor over all replicas."""

    def total(mine: tf.Tensor) -> tf.Tensor:
        return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, tf.identity(mine))

    def of_all(mine: tf.Tensor) -> tf.Tensor:
        return strategy.experimental_local_results(strategy.run(total, args=(mine,)))[0]

    return tf.function(of_all, autograph=False)
