"""Communicates between the replicas inside a training step.

With one replica nothing is communicated: sums, means and concatenations return their argument.
"""

import logging
import weakref
from collections.abc import Callable, Sequence

import keras
import tensorflow as tf

_log = logging.getLogger(__name__)

# The options of a variable to which every replica assigns the same value.
SAME_EVERYWHERE = {"aggregation": "only_first_replica", "autocast": False}

# The mirrored strategies that models were made under.
_MIRRORED: weakref.WeakSet[tf.distribute.Strategy] = weakref.WeakSet()


def warn_of_second_strategy() -> None:
    """Warns if the present MirroredStrategy is not the first one on its devices that a model is made under.

    TensorFlow numbers the all-reduces anew in each strategy. The second one reuses the numbers of the first, and fails
    if its tensors have other shapes (docs/upstream.md).
    """
    strategy = tf.distribute.get_strategy()
    if not isinstance(strategy, tf.distribute.MirroredStrategy) or num_replicas() == 1 or strategy in _MIRRORED:
        return
    devices = strategy.extended.worker_devices
    if any(other.extended.worker_devices == devices for other in _MIRRORED):
        _log.warning(
            "This is another MirroredStrategy on the devices of an earlier one. TensorFlow confuses their all-reduces: "
            "training may end with 'Shape mismatch in the collective instance'. Make one strategy, and all models in "
            "its scope."
        )
    _MIRRORED.add(strategy)


def num_replicas() -> int:
    """Returns the number of replicas of the current strategy; 1 outside of any strategy."""
    return tf.distribute.get_strategy().num_replicas_in_sync


def replica_id() -> tf.Tensor | int:
    """Returns the number of the current replica, counted from 0."""
    return tf.distribute.get_replica_context().replica_id_in_sync_group if num_replicas() > 1 else 0


def all_reduce_sum(value: tf.Tensor) -> tf.Tensor:
    """Sums a tensor over the replicas. The sum can be differentiated.

    Args:
        value: a tensor of the same shape on each replica.
    """
    if num_replicas() == 1:
        return value
    return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, value)


def all_reduce_mean(value: tf.Tensor) -> tf.Tensor:
    """Averages a tensor over the replicas. The mean can be differentiated.

    Args:
        value: a tensor of the same shape on each replica.
    """
    return all_reduce_sum(value) / num_replicas() if num_replicas() > 1 else value


def all_gather(value: tf.Tensor) -> tf.Tensor:
    """Concatenates the rows of all R replicas, in the order of the replicas. The result can be differentiated.

    It is a sum over the replicas. Each contributes its own rows, and zeros in place of the other replicas' rows. Unlike
    TensorFlow's own all-gather, this works on every kind of device, and so does its gradient.

    Args:
        value: the rows of this replica, `[B, ...]`; B is the same on each replica.

    Returns:
        `[R * B, ...]`.
    """
    if num_replicas() == 1:
        return value
    place = tf.one_hot(replica_id(), num_replicas(), dtype=value.dtype)
    placed = tf.reshape(place, [-1, *[1] * len(value.shape)]) * value[tf.newaxis]  # [R, B, ...]
    return tf.reshape(all_reduce_sum(placed), tf.concat([[-1], tf.shape(value)[1:]], axis=0))


def update_each(
    function: Callable[..., None], *variables: Sequence[keras.Variable], value: tf.Tensor | float = 0.0
) -> None:
    """Updates variables on each replica from the replica's own copies, without communication.

    Args:
        function: `function(assigned, value, *others)`, which assigns to the first variable. `assigned` and `others` are
            tf.Variables, `value` is a tensor.
        *variables: the variables to assign to; then, for each of `others`, a sequence of the same length.
        value: a number that is the same on all replicas.

    Example:
        update_each(lambda old, m, new: old.assign(m * old + (1 - m) * new), averages, weights, value=0.99)
    """

    def merged(strategy: tf.distribute.Strategy, value: tf.Tensor) -> None:
        for assigned, *others in zip(*variables, strict=True):
            arguments = (value, *(other.value for other in others))
            strategy.extended.update(assigned.value, function, args=arguments, group=False)

    tf.distribute.get_replica_context().merge_call(merged, args=(tf.convert_to_tensor(value),))
