"""The training loop. docs/decisions/0002-own-loop.md says why it is not Keras' `fit`."""

import dataclasses
import time
from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from simsiam_tf.config.devices import DeviceConfig
from simsiam_tf.data.order import ShuffledOrder
from simsiam_tf.distribute import workers
from simsiam_tf.distribute.input import Share, dataset_of
from simsiam_tf.methods import SSLModel
from simsiam_tf.progress import verbosity
from simsiam_tf.training.checkpoints import Saver
from simsiam_tf.training.executor import Executor, Prepare
from simsiam_tf.training.lookahead import Lookahead
from simsiam_tf.training.stop_signals import StopSignals


@dataclasses.dataclass(frozen=True)
class StepResult:
    """What one execution of one step or several gives.

    Attributes:
        logs: the running means over the epoch, and what `Pace` measures.
        save_requested: whether a worker wants a checkpoint by the clock.
        stop_requested: whether a worker was asked to stop.
    """

    logs: dict[str, float]
    save_requested: bool
    stop_requested: bool


class TrainingLoop:
    """Trains from the optimizer's step on, wherever in an epoch that is.

    The last step of each epoch is saved before the callbacks of the epoch's end are called. If a run was killed between
    the two, resuming it only calls those callbacks.

    Args:
        model: a compiled method whose optimizer is built.
        strategy: the distribution strategy that the model was made under.
        make_dataset: makes a host's batches of one replica each, from a step on; consecutive batches belong to
            consecutive replicas.
        prepare: what each replica does to its batch before the training step, on its device.
        callbacks: Keras callbacks. As with Keras, `on_train_batch_end` is called once for each execution, with its
            last step.
        saver: decides when to save, and saves.
        devices: the number of steps in an execution, the parts of a batch, and XLA.
        order: the order of the images, which has the number of steps in an epoch and of images in a step.
    """

    def __init__(
        self,
        model: SSLModel,
        strategy: tf.distribute.Strategy,
        *,
        make_dataset: Callable[[Share, int], tf.data.Dataset],
        prepare: Prepare,
        callbacks: Sequence[keras.callbacks.Callback],
        saver: Saver,
        devices: DeviceConfig,
        order: ShuffledOrder,
    ) -> None:
        self._model, self._strategy, self._make_dataset = model, strategy, make_dataset
        self._prepare, self._saver, self._devices, self._order = prepare, saver, devices, order
        self._callbacks = [keras.callbacks.ProgbarLogger(), *callbacks]
        self._signals = StopSignals()

    def run(self, epochs: range) -> None:
        """Trains to the end of the last epoch.

        Args:
            epochs: the epochs that are not on record yet; the first may have begun.

        Raises:
            Stopped: after SIGTERM or an interrupt, once the step that it came in is saved.
        """
        first_step, last_step = self._saver.step, epochs.stop * self._order.steps_per_epoch
        self._events = keras.callbacks.CallbackList(
            self._callbacks,
            model=self._model,
            epochs=epochs.stop,
            steps=self._order.steps_per_epoch,
            verbose=verbosity() if workers.is_chief(self._strategy) else 0,
        )
        data = self._batches(first_step)
        self._events.on_train_begin()
        with self._signals:
            self._executor = Executor(self._model, self._strategy, iter(data), self._prepare, self._devices)
            self._lookahead = Lookahead(
                self._model,
                self._strategy,
                batches=self._batches,
                prepare=self._prepare,
                parts=self._devices.accumulate_steps,
                last_step=last_step,
            )
            for epoch in epochs:
                self.run_epoch(epoch)
        self._events.on_train_end()

    def run_epoch(self, epoch: int) -> None:
        """Takes the steps that an epoch lacks, and calls the callbacks of its end."""
        self._events.on_epoch_begin(epoch)
        steps, step = self._order.steps_per_epoch, self._saver.step
        done = step - epoch * steps
        logs, pace = restored_logs(self._model, step), Pace(self._order.global_batch_size)
        if done == 0:
            self._model.reset_metrics()  # else the averages of the epoch's first part came with the checkpoint
        while done < steps:
            self._look_ahead(epoch * steps + done)
            until_window = self._lookahead.steps_until_next(epoch * steps + done)
            count = min(self._devices.steps_per_execution, steps - done, until_window)
            result = self.run_execution(done, count, pace)
            done, logs = done + count, result.logs
            is_due = self._saver.is_due_at(self._saver.step)
            if is_due or result.save_requested or result.stop_requested or done == steps:
                self._saver.save()
            if result.stop_requested:
                raise self._signals.stopped(self._saver.step)
        self._events.on_epoch_end(epoch, logs)

    def run_execution(self, done: int, count: int, pace: "Pace") -> StepResult:
        """Takes some steps in one call of the devices.

        Args:
            done: the number of the epoch's steps that are done.
            count: the number of steps to take.
            pace: the measure of the epoch's speed.
        """
        self._events.on_train_batch_begin(done)
        logs, seconds_waited = self._executor(count)
        logs |= pace.after(count, seconds_waited)
        # Workers must do the same after the same step, or one would wait for ever for another that has stopped.
        save, stop = workers.agreed(self._strategy, (self._saver.is_due, self._signals.received))
        self._events.on_train_batch_end(done + count - 1, logs)
        return StepResult(logs, save, stop)

    def _look_ahead(self, step: int) -> None:
        """Precomputes the targets of a window that begins at a step, unless the run is asked to stop meanwhile."""
        if not self._lookahead.prepare(step, stop=lambda: self._signals.received):
            self._saver.save()  # a window that was cut short begins anew when the run is resumed
            raise self._signals.stopped(step)

    def _batches(self, start_step: int) -> Any:
        batch_size, parts = self._order.global_batch_size, self._devices.accumulate_steps
        return dataset_of(self._strategy, lambda share: self._make_dataset(share, start_step), batch_size, parts)


def restored_logs(model: SSLModel, step: int) -> dict[str, float]:
    """Returns the means of the epoch so far, as a checkpoint has restored them."""
    if step == 0:
        return {}
    means = {name: float(tracker.result()) for name, tracker in model.trackers.items()}
    scale = {"loss_scale": float(model.optimizer.loss_scale.numpy())} if model.scales_loss else {}
    return means | {"learning_rate": model.optimizer.learning_rate_at(step - 1)} | scale


class Pace:
    """Measures how fast an epoch goes, and the share of its time in which the step waited for input.

    The epoch's first execution is left out if there is another: it may trace, compile and fill the pipeline.

    Args:
        global_batch_size: the number of images in a step.
    """

    def __init__(self, global_batch_size: int) -> None:
        self._global_batch_size = global_batch_size
        self._start, self._waited, self._steps, self._is_first = time.perf_counter(), 0.0, 0, True

    def after(self, steps: int, seconds_waited: float | None) -> dict[str, float]:
        """Measures the epoch so far.

        Args:
            steps: the number of steps in the execution that just ended.
            seconds_waited: the seconds that it waited for input, or `None` if that was not measured.

        Returns:
            `images_per_second` and, if it was measured, `input_wait_fraction`.
        """
        self._steps += steps
        now = time.perf_counter()
        logs = {"images_per_second": self._steps * self._global_batch_size / (now - self._start)}
        if seconds_waited is not None:
            self._waited += seconds_waited
            logs["input_wait_fraction"] = min(self._waited / (now - self._start), 1.0)
        if self._is_first:
            self._start, self._waited, self._steps, self._is_first = now, 0.0, 0, False
        return logs
