"""What XLA compiles: whole training steps if asked to, and small functions of tensors."""

import functools
from collections.abc import Callable

import tensorflow as tf

from simsiam_tf.distribute.strategy import has_accelerator
from simsiam_tf.errors import UsageError


def compiles_step(strategy: tf.distribute.Strategy, jit: str) -> bool:
    """Decides whether the whole training step is compiled by XLA.

    Args:
        strategy: the distribution strategy of the run.
        jit: `on`, `off` or `auto`. `auto` compiles where that was measured to be faster, which is nowhere so far: on a
            CPU it is slower (docs/results/speed.md), and a GPU has not been measured.

    Returns:
        Whether TensorFlow must be told to compile it. On a TPU it does so untold.

    Raises:
        UsageError: for `on` if TensorFlow cannot do it.
    """
    if jit != "on" or isinstance(strategy, tf.distribute.TPUStrategy):
        return False
    if strategy.num_replicas_in_sync > 1:
        raise UsageError(f"--jit=on needs one replica, or a TPU. Received: {strategy.num_replicas_in_sync} replicas.")
    if not has_accelerator(strategy) and not host_compiles():
        raise UsageError("--jit=on needs XLA, which this build of TensorFlow lacks for the CPU. Received: --jit=on.")
    return True


def compiled(strategy: tf.distribute.Strategy, function: Callable) -> Callable:
    """Compiles a function by XLA, for use inside a replica. A TPU compiles the whole step anyway.

    Args:
        strategy: the distribution strategy of the replica.
        function: a function of tensors. It may use variables only if there is one replica.

    Returns:
        A function of the same arguments.
    """
    if isinstance(strategy, tf.distribute.TPUStrategy):
        return function
    return tf.function(function, jit_compile=True, autograph=False)


def compiled_on_host(function: Callable) -> Callable:
    """Compiles a function by XLA for the CPU, if this build of TensorFlow can.

    Inside tf.data that is several times as fast as one op after another.

    Args:
        function: a function of tensors.

    Returns:
        A function of the same arguments; `function` itself if it cannot be compiled.
    """
    return tf.function(function, jit_compile=True, autograph=False) if host_compiles() else function


@functools.cache
def host_compiles() -> bool:
    """Finds out whether XLA compiles for the CPU; in tensorflow-tpu it does not."""
    try:
        with tf.init_scope(), tf.device("/cpu:0"):  # tf.data may be what is being traced
            return bool(tf.function(lambda: tf.constant(True), jit_compile=True)())
    except tf.errors.OpError:
        return False
