"""What XLA compiles."""

import functools
from collections.abc import Callable

import tensorflow as tf

from simsiam_tf.distribute.strategy import has_accelerator
from simsiam_tf.errors import UsageError


@functools.cache
def host_compiles() -> bool:
    """Whether XLA compiles for the CPU here; in tensorflow-tpu it does not."""
    try:
        with tf.init_scope(), tf.device("/cpu:0"):  # tf.data may be what is being traced
            return bool(tf.function(lambda: tf.constant(True), jit_compile=True)())
    except tf.errors.OpError:
        return False


def compiled_on_host(function: Callable) -> Callable:
    """The function compiled by XLA where that works: in tf.data, several times as fast as op by op.

    Args:
        function: of tensors.
    """
    return tf.function(function, jit_compile=True, autograph=False) if host_compiles() else function


def compiled(strategy: tf.distribute.Strategy, function: Callable) -> Callable:
    """The function compiled by XLA, for use inside a replica; a TPU compiles the whole step anyway.

    Args:
        strategy: of the replica.
        function: of tensors; with variables, only where there is one replica.
    """
    if isinstance(strategy, tf.distribute.TPUStrategy):
        return function
    return tf.function(function, jit_compile=True, autograph=False)


def compiles_step(strategy: tf.distribute.Strategy, jit: str) -> bool:
    """Whether the whole training step is to be compiled by XLA.

    Args:
        strategy: of the run.
        jit: `on`, `off`, or `auto`: where it was measured to be faster. On a CPU it is slower
            (docs/results/speed.md); a GPU has not been measured, so there it is left off too.

    Raises:
        UsageError: for `on` where TensorFlow cannot do it.
    """
    if jit != "on" or isinstance(strategy, tf.distribute.TPUStrategy):
        return False
    if strategy.num_replicas_in_sync > 1:
        raise UsageError(f"--jit=on needs one replica, or a TPU. Received: {strategy.num_replicas_in_sync} replicas.")
    if not has_accelerator(strategy) and not host_compiles():
        raise UsageError("--jit=on needs XLA, which this build of TensorFlow lacks for the CPU. Received: --jit=on.")
    return True
