"""Coordinates several workers, which are processes that usually run on a machine each.

Only the first worker, the chief, reads and writes the folder of the run. With one worker the functions return their
argument or do nothing.
"""

import contextlib
import functools
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import tensorflow as tf

from simsiam_tf.distribute.strategy import ONE_DEVICE
from simsiam_tf.errors import UsageError

_Result = TypeVar("_Result")


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Returns whether this process is the chief: the only worker, or the first of several."""
    resolver = strategy.cluster_resolver
    if not _has_workers(strategy) or resolver is None:
        return True
    return resolver.task_type == "chief" or (resolver.task_id == 0 and "chief" not in resolver.cluster_spec().as_dict())


def local_strategy(strategy: tf.distribute.Strategy) -> tf.distribute.Strategy:
    """Returns the strategy for work that one worker does alone: that of the run, or one device if it has others."""
    return ONE_DEVICE if _has_workers(strategy) else strategy


def copy_from_chief(strategy: tf.distribute.Strategy, variables: Sequence[tf.Variable]) -> None:
    """Assigns the chief's values to the variables of every worker, so that only the chief needs to read checkpoints.

    Args:
        strategy: the distribution strategy of the run.
        variables: variables that were made under the strategy, in the same order on every worker.
    """
    if not _has_workers(strategy):
        return
    for dtype in dict.fromkeys(v.dtype for v in variables):
        alike = [v for v in variables if v.dtype == dtype]
        integers = {4: tf.int32, 8: tf.int64}[dtype.size]  # -0.0 + 0.0 would change a bit; integer sums do not
        by_replica = _copier(strategy)([tf.bitcast(tf.convert_to_tensor(v), integers) for v in alike])
        for variable, copy in zip(alike, by_replica, strict=True):
            variable.assign(tf.bitcast(strategy.experimental_local_results(copy)[0], dtype))


def broadcast_from_chief(strategy: tf.distribute.Strategy, number: int) -> int:
    """Returns the chief's number on every worker.

    Args:
        strategy: the distribution strategy of the run.
        number: the number of this worker, from -2^31 to 2^31 - 1; only the chief's counts.
    """
    with strategy.scope():
        told = tf.Variable(number, trainable=False)
    copy_from_chief(strategy, [told])
    return int(told.numpy())


def on_chief(strategy: tf.distribute.Strategy, work: Callable[[], _Result], otherwise: _Result) -> _Result:
    """Does some work on the chief only. If it fails, every worker stops.

    Args:
        strategy: the distribution strategy of the run.
        work: the work; its errors of any kind are raised on the chief.
        otherwise: the result on the other workers.

    Returns:
        The result of the work on the chief, and `otherwise` on the other workers.

    Raises:
        UsageError: on the other workers, if the work failed.
    """
    result, problem = otherwise, None
    if is_chief(strategy):
        try:
            result = work()
        except Exception as error:  # of any kind: the other workers, which wait for the chief, must hear of it
            problem = error
    if broadcast_from_chief(strategy, int(problem is not None)):
        raise problem or UsageError("The chief refused the run; its output says why.")
    return result


def agreed(strategy: tf.distribute.Strategy, requests: Sequence[bool]) -> tuple[bool, ...]:
    """Tells every worker which requests any worker makes, so that all of them do the same.

    Every worker must call it after the same step.

    Args:
        strategy: the distribution strategy of the run.
        requests: for each request, as to save or to stop, whether this worker makes it.

    Returns:
        For each request, whether any worker makes it; with one worker, `requests`.
    """
    if not _has_workers(strategy):
        return tuple(requests)
    return tuple(bool(total > 0) for total in _summer(strategy)(tf.constant(requests, tf.float32)).numpy())


def check_same_run(strategy: tf.distribute.Strategy, settings: str) -> None:
    """Checks that every worker has the settings of the chief. Otherwise they could wait for each other for ever.

    Args:
        strategy: the distribution strategy of the run.
        settings: the settings of this worker, as a text with everything that its training steps depend on.

    Raises:
        UsageError: on a worker whose settings differ from the chief's.
    """
    mine = zlib.crc32(settings.encode()) >> 1
    if broadcast_from_chief(strategy, mine) != mine:
        raise UsageError(
            "Every worker must have the same flags and number of images as the chief; this worker differs. Received: "
            + settings
            + "."
        )


@contextlib.contextmanager
def naming_lost_workers(strategy: tf.distribute.Strategy) -> Iterator[None]:
    """Replaces TensorFlow's long errors by one sentence if another worker has gone, inside a `with` block.

    Args:
        strategy: the distribution strategy of the run.

    Raises:
        ConnectionError: if another worker has gone.
    """
    try:
        yield
    except (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.CancelledError):
        if not _has_workers(strategy):
            raise
        raise ConnectionError(
            "Another worker has stopped, so this one stops too; start all workers again to resume from the last "
            "checkpoint."
        ) from None


def _has_workers(strategy: tf.distribute.Strategy) -> bool:
    return isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)


# These functions are cached for each strategy, because tracing them again in each step would be slow.


@functools.cache
def _copier(strategy: tf.distribute.Strategy) -> Callable[[list[tf.Tensor]], list[tf.Tensor]]:
    """Makes the function that returns the tensors of the first replica on every replica."""

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
