"""What crosses replicas."""

from collections.abc import Callable, Sequence

import keras
import tensorflow as tf

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
