"""Communication between replicas, inside a training step.

Each function is the identity, or the obvious answer, with one replica.
"""

from collections.abc import Callable, Sequence

import keras
import tensorflow as tf

# The options of a variable that every replica assigns the same value to.
SAME_EVERYWHERE = {"aggregation": "only_first_replica", "autocast": False}


def num_replicas() -> int:
    """Returns the number of replicas that the code being traced runs on; 1 outside a strategy."""
    return tf.distribute.get_strategy().num_replicas_in_sync


def replica_id() -> tf.Tensor | int:
    """Returns the number, from 0, of the replica that the code being traced runs on."""
    return tf.distribute.get_replica_context().replica_id_in_sync_group if num_replicas() > 1 else 0


def all_reduce_sum(value: tf.Tensor) -> tf.Tensor:
    """Sums `value` over the replicas. Differentiable."""
    if num_replicas() == 1:
        return value
    return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, value)


def all_reduce_mean(value: tf.Tensor) -> tf.Tensor:
    """Averages `value` over the replicas. Differentiable."""
    return all_reduce_sum(value) / num_replicas() if num_replicas() > 1 else value


def all_gather(value: tf.Tensor) -> tf.Tensor:
    """Concatenates the rows of all replicas, in the order of the replicas. Differentiable.

    It is an all-reduce to which each replica contributes its own rows and zeros in the place of the others: unlike
    TensorFlow's own all-gather, that works and has its gradient on every kind of device.

    Args:
        value: rows of this replica, `[B, ...]`, as many on each of the R replicas.

    Returns:
        `[R B, ...]`.
    """
    if num_replicas() == 1:
        return value
    place = tf.one_hot(replica_id(), num_replicas(), dtype=value.dtype)
    placed = tf.reshape(place, [-1, *[1] * len(value.shape)]) * value[tf.newaxis]  # [R, B, ...]
    return tf.reshape(all_reduce_sum(placed), tf.concat([[-1], tf.shape(value)[1:]], axis=0))


def update_each(
    function: Callable[..., None], *variables: Sequence[keras.Variable], value: tf.Tensor | float = 0.0
) -> None:
    """Calls a function that assigns to a variable, on each replica's own copies. Nothing crosses replicas.

    Args:
        function: `function(assigned, value, *others)`, of tf.Variables and a tensor.
        *variables: the variables that are assigned to, and then as many sequences, of the same length, as `function`
            takes others.
        value: a number that is the same on all replicas.
    """

    def merged(strategy: tf.distribute.Strategy, value: tf.Tensor) -> None:
        for assigned, *others in zip(*variables, strict=True):
            arguments = (value, *(other.value for other in others))
            strategy.extended.update(assigned.value, function, args=arguments, group=False)

    tf.distribute.get_replica_context().merge_call(merged, args=(tf.convert_to_tensor(value),))
