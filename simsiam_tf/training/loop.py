"""Runs the training loop. docs/decisions/0002-own-loop.md says why it is not Keras' `fit`."""

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
from simsiam_tf.optim import SGD
from simsiam_tf.progress import Progress, verbosity
from simsiam_tf.training.checkpoints import Saver
from simsiam_tf.training.executor import Executor, Prepare
from simsiam_tf.training.lookahead import Lookahead
from simsiam_tf.training.progress_bar import ProgressBar
from simsiam_tf.training.stop_signals import StopSignals


@dataclasses.dataclass(frozen=True)
class StepResult:
    """Holds the result of one execution, which is one step or several in one call of the devices.

    Attributes:
        logs: the running means over the epoch by name, and the measurements of `Pace`.
        save_requested: whether a save is due by the clock on any worker.
        stop_requested: whether any worker has received a signal to stop.
        ends: whether a callback of any worker ends the run, by `model.stop_training` as in Keras.
    """

    logs: dict[str, float]
    save_requested: bool
    stop_requested: bool
    ends: bool


class EndedByCallback(Exception):  # noqa: N818 - not an error
    """Ends a run that a callback asked to end, after its state was saved.

    Args:
        step: the number of updates made so far.
    """

    def __init__(self, step: int) -> None:
        super().__init__(f"A callback ended the run; saved at step {step}.")
        self.step = step


class TrainingLoop:
    """Trains a model from the current step of its optimizer, which may lie inside an epoch.

    The last step of each epoch is saved before the end-of-epoch callbacks are called. If a run was killed between the
    two, resuming it first calls those callbacks.

    Args:
        model: a compiled method whose optimizer is built.
        strategy: the distribution strategy that the model was made under.
        make_dataset: a function that makes the batches of a host's share, from a given step on. Each batch is for one
            replica; consecutive batches belong to consecutive replicas.
        prepare: a function that each replica applies to its batch before the training step, on its device.
        callbacks: Keras callbacks. As in Keras, `on_train_batch_end` is called once for each execution, with the number
            of its last step.
        saver: the object that decides when a checkpoint is due, and saves it.
        devices: the settings of the devices: steps in an execution, parts of a batch, XLA, op determinism.
        order: the order of the images; it defines the number of images in a step and of steps in an epoch.
        on_bad_step: a function that is called after a step whose loss or gradient is not finite, or whose weights are
            not. It gets the number of the step, counted from 0, and the logs, which are empty for weights. It may raise
            a FloatingPointError. By default, it is left to the callbacks to do so.
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
        on_bad_step: Callable[[int, dict[str, float]], None] | None = None,
    ) -> None:
        self._on_bad_step = on_bad_step or (lambda step, logs: None)
        self._model, self._strategy, self._make_dataset = model, strategy, make_dataset
        self._prepare, self._saver, self._devices, self._order = prepare, saver, devices, order
        self._callbacks = [ProgressBar(), *callbacks]
        self._signals = StopSignals()

    def run(self, epochs: range) -> None:
        """Trains to the end of the last epoch.

        Args:
            epochs: the epochs whose metrics are not recorded yet, counted from 0. The first may be partly or wholly
                trained.

        Raises:
            Stopped: after SIGTERM or Ctrl-C, once the execution under way is finished and saved.
            EndedByCallback: if a callback ends the run by `model.stop_training`, once the step is saved.
            FloatingPointError: if a step is bad, and `on_bad_step` does not let it pass.
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
        self._model.stop_training = False  # as in Keras' fit
        self._events.on_train_begin()
        # Keras shows each epoch, by a bar or a line at its end. These lines come in between, outside of a terminal.
        is_chief = workers.is_chief(self._strategy)
        self._progress = Progress("Training", last_step, "step", first_step, ends=False, shown=is_chief)
        with self._signals, self._progress:
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
                self._progress.note = f" (epoch {epoch + 1} of {epochs.stop})"
                self.run_epoch(epoch)
        self._events.on_train_end()

    def run_epoch(self, epoch: int) -> None:
        """Trains the remaining steps of an epoch, and calls the end-of-epoch callbacks.

        Args:
            epoch: the number of the epoch, counted from 0.
        """
        self._events.on_epoch_begin(epoch)
        steps, step = self._order.steps_per_epoch, self._saver.step
        done = step - epoch * steps
        logs, pace = restored_logs(self._model, step), Pace(self._order.global_batch_size)
        if done == 0:
            self._model.reset_metrics()  # inside an epoch, the averages so far were restored instead
        while done < steps:
            start = time.perf_counter()
            self._look_ahead(epoch * steps + done)
            pace.add_before_step(time.perf_counter() - start)
            until_window = self._lookahead.steps_until_next(epoch * steps + done)
            count = min(self._devices.steps_per_execution, steps - done, until_window)
            result = self.run_execution(done, count, pace)
            done, logs = done + count, result.logs
            self._progress.add(count)
            is_due = self._saver.is_due_at(self._saver.step)
            if is_due or result.save_requested or result.stop_requested or result.ends or done == steps:
                self._save()
            if result.stop_requested:
                raise self._signals.stopped(self._saver.step)
            if result.ends:
                raise EndedByCallback(self._saver.step)
        self._events.on_epoch_end(epoch, logs)

    def run_execution(self, done: int, count: int, pace: "Pace") -> StepResult:
        """Runs one execution: a number of steps in one call of the devices.

        Args:
            done: the number of steps of the epoch that are already trained.
            count: the number of steps to train.
            pace: the speed measurement of the epoch.
        """
        self._events.on_train_batch_begin(done)
        logs, seconds_waited, first_bad = self._executor(count)
        logs |= pace.after(count, seconds_waited)
        if first_bad >= 0 and not self._is_overflow(logs):
            self._on_bad_step(self._saver.step - count + first_bad, logs)
        # All workers must save or stop after the same step: one that went on alone would wait for the others for ever.
        self._events.on_train_batch_end(done + count - 1, logs)
        requests = self._saver.is_due, self._signals.received, bool(self._model.stop_training)
        return StepResult(logs, *workers.agreed(self._strategy, requests))

    def _is_overflow(self, logs: dict[str, float]) -> bool:
        """Returns whether gradients of float16 overflowed because the loss is still scaled by too much."""
        return logs.get("loss_scale", SGD.LEAST_SCALE) > SGD.LEAST_SCALE

    def _save(self) -> None:
        """Saves a checkpoint, and names the step if there are weights that are not finite."""
        try:
            self._saver.save()
        except FloatingPointError:
            self._on_bad_step(self._saver.step - 1, {})
            raise

    def _look_ahead(self, step: int) -> None:
        """Precomputes the targets of the window that begins at a step, if any; stops if a signal comes meanwhile."""
        if not self._lookahead.prepare(step, stop=lambda: self._signals.received):
            self._save()  # the resumed run precomputes the whole window again
            raise self._signals.stopped(step)

    def _batches(self, start_step: int) -> Any:
        batch_size, parts = self._order.global_batch_size, self._devices.accumulate_steps
        return dataset_of(self._strategy, lambda share: self._make_dataset(share, start_step), batch_size, parts)


def restored_logs(model: SSLModel, step: int) -> dict[str, float]:
    """Returns the logs of the epoch so far, from the running means that a checkpoint has restored.

    Args:
        model: the restored method.
        step: the number of updates made so far; 0 gives no logs.
    """
    if step == 0:
        return {}
    means = {name: float(tracker.result()) for name, tracker in model.trackers.items()}
    scale = {"loss_scale": float(model.optimizer.loss_scale.numpy())} if model.scales_loss else {}
    return means | {"learning_rate": model.optimizer.learning_rate_at(step - 1)} | scale


class Pace:
    """Measures the speed of an epoch, and the share of its time in which the steps waited for input.

    The first execution of the epoch counts only until the second has ended: it may include tracing, compiling and
    filling the input pipeline. What was precomputed before it is for all steps of the epoch, and counts.

    Args:
        global_batch_size: the number of images in a step.
    """

    def __init__(self, global_batch_size: int) -> None:
        self._global_batch_size = global_batch_size
        self._start, self._waited, self._steps, self._is_first = time.perf_counter(), 0.0, 0, True
        self._before_first = 0.0

    def add_before_step(self, seconds: float) -> None:
        """Takes in the seconds for which targets were precomputed before an execution."""
        self._before_first += seconds if self._is_first else 0.0

    def after(self, steps: int, seconds_waited: float | None) -> dict[str, float]:
        """Returns the measurements of the epoch so far. It must be called after each execution.

        Args:
            steps: the number of steps in the execution that just ended.
            seconds_waited: the seconds that this execution waited for input, or `None` if they were not measured.

        Returns:
            `images_per_second`, and `input_wait_fraction` (0 to 1) if waiting was measured.
        """
        self._steps += steps
        now = time.perf_counter()
        logs = {"images_per_second": self._steps * self._global_batch_size / (now - self._start)}
        if seconds_waited is not None:
            self._waited += seconds_waited
            logs["input_wait_fraction"] = min(self._waited / (now - self._start), 1.0)
        if self._is_first:
            self._start, self._waited, self._steps, self._is_first = now - self._before_first, 0.0, 0, False
        return logs
