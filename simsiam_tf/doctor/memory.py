"""Checks the free memory."""

from simsiam_tf.doctor.checks import Asked, Outcome
from simsiam_tf.host import available_memory

_GIB = 2**30
# A process that trains the recipe shapes_demo has about 1 GiB (docs/results/doctor.md).
LEAST_MEMORY, ENOUGH_MEMORY = 1.0 * _GIB, 2.0 * _GIB


def memory(asked: Asked) -> Outcome:
    """Judges the memory that is free on this machine, or in its container.

    Args:
        asked: not used: whether a run fits is judged by its own check.
    """
    free = available_memory()
    value = f"{free / _GIB:.3g} GiB free"
    if free < LEAST_MEMORY:
        return Outcome("fail", value, "not even TensorFlow fits; end other programs, or take a machine with more")
    if free < ENOUGH_MEMORY:
        return Outcome("warn", value, "only the smallest runs fit; end other programs")
    return Outcome("pass", value)
