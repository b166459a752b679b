"""Compiles functions with XLA: small functions of tensors, and whole training steps if asked to."""

import functools
from collections.abc import Callable

import tensorflow as tf

from simsiam_tf.distribute.strategy import has_accelerator
from simsiam_tf.errors import UsageError


def compiles_step(strategy: tf.distribute.Strategy, jit: str) -> bool:
    """Decides whether TensorFlow must be told to compile the whole training step with XLA.

    Args:
        strategy: the distribution strategy of the run.
        jit: `on`, `off` or `auto`. At present `auto` never compiles: on a CPU that was measured to be slower
            (docs/results/speed.md), and a GPU has not been measured.

    Returns:
        True for `on`, except on a TPU, where the step is compiled in any case. False for `off` and `auto`.

    Raises:
        UsageError: for `on`, if there are several replicas without a TPU, or no XLA for the CPU.
    """
    if jit != "on" or isinstance(strategy, tf.distribute.TPUStrategy):
        return False
    if strategy.num_replicas_in_sync > 1:
        raise UsageError(f"--jit=on needs one replica, or a TPU. Received: {strategy.num_replicas_in_sync} replicas.")
    if not has_accelerator(strategy) and not host_compiles():
        raise UsageError("--jit=on needs XLA, which this build of TensorFlow lacks for the CPU. Received: --jit=on.")
    return True


def compiled(strategy: tf.distribute.Strategy, function: Callable) -> Callable:
    """Compiles a function with XLA, for use inside a replica.

    Args:
        strategy: the distribution strategy of the replica.
        function: a function of tensors. It may use variables only if there is one replica.

    Returns:
        The compiled function; on a TPU `function` itself, because the whole step is compiled there.
    """
    if isinstance(strategy, tf.distribute.TPUStrategy):
        return function
    return tf.function(function, jit_compile=True, autograph=False)


def compiled_on_host(function: Callable) -> Callable:
    """Compiles a function with XLA for the CPU, if this build of TensorFlow can.

    Inside tf.data a compiled function is several times as fast as its single ops.

    Args:
        function: a function of tensors.

    Returns:
        The compiled function; `function` itself if this build cannot compile it.
    """
    return tf.function(function, jit_compile=True, autograph=False) if host_compiles() else function


@functools.cache
def host_compiles() -> bool:
    """Returns whether this build of TensorFlow has XLA for the CPU; tensorflow-tpu has not."""
    try:
        with tf.init_scope(), tf.device("/cpu:0"):  # the caller may be a function that tf.data traces
            return bool(tf.function(lambda: tf.constant(True), jit_compile=True)())
    except tf.errors.OpError:
        return False
