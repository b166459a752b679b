"""Runs training steps on all replicas, one or several in one call."""

import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from simsiam_tf.config.devices import DeviceConfig
from simsiam_tf.distribute.xla import compiled, compiles_step
from simsiam_tf.errors import StepTooLarge
from simsiam_tf.methods import SSLModel
from simsiam_tf.methods.base import LEFT_OUT

# What TensorFlow, XLA and CUDA say of a device without memory. A full disk is another error of the same type.
_NO_MEMORY = re.compile("OOM|out of memory|OUT_OF_MEMORY", re.IGNORECASE)
# The name of TensorFlow's node at the beginning of a message.
_NODE = re.compile(r"^(\{\{.*?\}\}\s*)+")
# A function that each replica applies to its batch before the training step.
Prepare = Callable[[dict[str, Any]], dict[str, Any]]


class Execution(NamedTuple):
    """Holds what an execution returns.

    Attributes:
        logs: the logs by name, as the last step gives them.
        seconds_waited: the seconds that the steps waited for input; `None` with op determinism, which forbids reading
            the clock inside a step.
        first_bad: the number of the first step, counted from 0, whose loss or gradient was not finite; -1 if there was
            none.
    """

    logs: dict[str, float]
    seconds_waited: float | None
    first_bad: int


class Executor:
    """Runs a number of training steps on all replicas in one call. The call is traced once, whatever the number.

    Args:
        model: a compiled method.
        strategy: the distribution strategy that the model was made under.
        iterator: an iterator over distributed batches.
        prepare: a function that each replica applies to its batch before the training step.
        devices: the settings of the devices: parts of a batch, XLA, op determinism.
    """

    def __init__(
        self,
        model: SSLModel,
        strategy: tf.distribute.Strategy,
        iterator: Iterator[Any],
        prepare: Prepare,
        devices: DeviceConfig,
    ) -> None:
        self._model, self._strategy, self._iterator, self._prepare = model, strategy, iterator, prepare
        self._parts, self._measures_waiting = devices.accumulate_steps, not devices.deterministic
        is_compiled = compiles_step(strategy, devices.jit)
        steps = model.train_step, model.accumulate_step
        self._train, self._accumulate = (compiled(strategy, s) if is_compiled else s for s in steps)
        self._execute = tf.function(self._many_steps, autograph=False)

    def __call__(self, count: int) -> Execution:
        """Runs `count` steps.

        Raises:
            StepTooLarge: if a device has too little memory.
        """
        left_out = self._model.trackers[LEFT_OUT].result()
        try:
            logs, waited, first_bad = self._execute(self._iterator, tf.constant(count), left_out)
        except tf.errors.OpError as error:
            if not _NO_MEMORY.search(error.message):
                raise
            first = _NODE.sub("", error.message.strip()).splitlines()[0].rstrip(". ")
            raise StepTooLarge(_images_of(self._iterator), self._parts, first[:300]) from error
        logs = {name: float(value) for name, value in logs.items()}
        return Execution(logs, float(waited) if self._measures_waiting else None, int(first_bad))

    def _many_steps(
        self, iterator: Iterator[Any], count: tf.Tensor, left_out: tf.Tensor
    ) -> tuple[dict[str, tf.Tensor], tf.Tensor, tf.Tensor]:
        """Runs `count` steps in a `tf.while_loop`: one graph serves every count, and gives the same bits.

        `left_out` is the number of steps of the epoch so far whose loss or gradient was not finite.
        """

        def body(i: tf.Tensor, _: Any, waited: tf.Tensor, first_bad: tf.Tensor) -> tuple[Any, ...]:
            logs, seconds = self._one_step(iterator)
            is_first = (first_bad < 0) & (logs[LEFT_OUT] > tf.cast(left_out, logs[LEFT_OUT].dtype))
            return i + 1, logs, waited + seconds, tf.where(is_first, i, first_bad)

        nothing = {name: tf.zeros([], keras.config.floatx()) for name in self._model.step_log_names}
        start = tf.constant(0), nothing, tf.zeros([], tf.float64), tf.constant(-1)
        return tf.while_loop(lambda i, *_: i < count, body, start)[1:]

    def _one_step(self, iterator: Iterator[Any]) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        """Runs one step. A batch in several parts takes one call for each; only the last part updates the weights."""
        waited = tf.zeros([], tf.float64)
        for _ in range(self._parts - 1):
            batch, seconds = self._timed_next(iterator)
            waited += seconds
            self._strategy.run(lambda batch: self._accumulate(self._prepare(batch)), args=(batch,))
        batch, seconds = self._timed_next(iterator)
        logs = self._strategy.run(lambda batch: self._train(self._prepare(batch)), args=(batch,))
        logs = {name: self._strategy.reduce("MEAN", value, axis=None) for name, value in logs.items()}
        return logs, waited + seconds

    def _timed_next(self, iterator: Iterator[Any]) -> tuple[Any, tf.Tensor]:
        """Returns the next batch, and the seconds until it came; 0 where that is not measured."""
        if not self._measures_waiting:
            return next(iterator), tf.zeros([], tf.float64)
        start = tf.timestamp()
        with tf.control_dependencies([start]):
            batch = next(iterator)
        with tf.control_dependencies(tf.nest.flatten(batch, expand_composites=True)):
            seconds = tf.timestamp() - start
        # The step gets the batch only now. Otherwise one thread may do the whole step before it reads the clock, and
        # the step counts as waiting.
        with tf.control_dependencies([seconds]):
            return tf.nest.map_structure(_identity, batch, expand_composites=True), seconds


def _identity(tensor: tf.Tensor) -> tf.Tensor:
    """Returns a tensor as it is, where it is."""
    with tf.device(tensor.device):
        return tf.identity(tensor)


def _images_of(iterator: Any) -> int:
    """Returns the number of images of a batch, which is that of one replica; 0 if it is not known."""
    specs = tf.nest.flatten(iterator.element_spec, expand_composites=True)
    counts = {spec.shape[0] for spec in specs if spec.shape.rank}
    (count,) = counts if len(counts) == 1 else (None,)
    return count or 0
