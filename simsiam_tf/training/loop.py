"""The one training loop. Why not `fit`: docs/decisions/0002-own-loop.md."""

import functools
import time
from collections.abc import Callable

import keras
import tensorflow as tf

from simsiam_tf.config.devices import DeviceConfig
from simsiam_tf.data.pipeline import Order
from simsiam_tf.distribute import collectives, workers
from simsiam_tf.distribute.input import Share, dataset_of
from simsiam_tf.distribute.xla import compiled, compiles_step
from simsiam_tf.methods import SSLModel
from simsiam_tf.progress import verbosity
from simsiam_tf.training.checkpoints import Saver
from simsiam_tf.training.stop_signals import StopSignals


def run_epochs(
    model: SSLModel,
    strategy: tf.distribute.Strategy,
    make_dataset: Callable[[Share, int], tf.data.Dataset],
    prepare: Callable[[dict], dict],
    callbacks: list[keras.callbacks.Callback],
    saver: Saver,
    devices: DeviceConfig,
    order: Order,
    epochs: range,
) -> None:
    """Trains from the optimizer's step on, wherever in an epoch that is.

    Each epoch's last step is saved before its end is worked on. If only that is missing, it is all that is done.

    Args:
        model: a compiled method whose optimizer is built.
        strategy: that the model was made under.
        make_dataset: batches of one replica each for one host's share, consecutive replicas in turn, from a step on.
        prepare: what each replica does to its batch before the training step, on its device.
        callbacks: Keras callbacks; logs hold the epoch's running means, and those of `_Pace`. As with Keras,
            `on_train_batch_end` comes once for each execution, with its last step.
        saver: saves when it is time.
        devices: steps of an execution, parts of a batch, XLA.
        order: of the images: steps of an epoch, images of a step.
        epochs: those that are not on record yet, up to the run's end.

    Raises:
        Stopped: after SIGTERM or an interrupt, once the step that it came in is saved.
    """
    list_of_callbacks = keras.callbacks.CallbackList(
        [keras.callbacks.ProgbarLogger(), *callbacks],
        model=model,
        epochs=epochs.stop,
        steps=order.steps_per_epoch,
        verbose=verbosity() if workers.is_chief(strategy) else 0,
    )

    def batches(start_step):
        from_step = functools.partial(make_dataset, start_step=start_step)
        return dataset_of(strategy, from_step, order.global_batch_size, devices.accumulate_steps)

    data = batches(saver.step)
    list_of_callbacks.on_train_begin()
    with StopSignals() as signals:
        executor = _Executor(model, strategy, iter(data), prepare, devices, lambda: (saver.is_due, signals.received))
        last_step = epochs.stop * order.steps_per_epoch
        coming = range(saver.step, last_step)
        look_ahead = _LookAhead(model, strategy, batches, prepare, devices, coming, saver, signals)
        for epoch in epochs:
            list_of_callbacks.on_epoch_begin(epoch)
            logs = _restored_logs(model, saver.step)
            for at, newest in _steps(model, executor, list_of_callbacks, order, epoch, devices, look_ahead):
                logs, (save, stop) = newest, executor.wishes
                if saver.is_due_at(saver.step) or save or stop or at == order.steps_per_epoch:
                    saver.save()
                if stop:
                    raise signals.stopped(saver.step)
            list_of_callbacks.on_epoch_end(epoch, logs)
    list_of_callbacks.on_train_end()


def _steps(model, executor, callbacks, order, epoch, devices, look_ahead):
    """Takes the steps that an epoch lacks; after each execution yields how many are done, and the logs."""
    steps, done = order.steps_per_epoch, int(model.optimizer.iterations.numpy())
    at = done - epoch * steps
    if at == 0:
        model.reset_metrics()  # else the averages of the epoch's first part came with the checkpoint
    pace = _Pace(order.global_batch_size)
    while at < steps:
        ready = look_ahead(epoch * steps + at)
        count = min(devices.steps_per_execution, steps - at, ready)
        callbacks.on_train_batch_begin(at)
        logs, seconds_waited = executor(count)
        logs |= pace.after(count, None if devices.deterministic else seconds_waited)
        at += count
        callbacks.on_train_batch_end(at - 1, logs)
        yield at, logs


def _restored_logs(model, step):
    """The epoch's means so far, as the checkpoint has them."""
    if step == 0:
        return {}
    means = {name: float(tracker.result()) for name, tracker in model.trackers.items()}
    scale = {"loss_scale": float(model.optimizer.loss_scale.numpy())} if model.scales_loss else {}
    return means | {"learning_rate": model.optimizer.learning_rate_at(step - 1)} | scale


class _LookAhead:
    """Shows a method the batches of its next steps before they are trained on, if it wants to see them (Sec. 5.2).

    The batches are made a second time: they are the same, and to keep those of many steps would take more memory than
    they are worth.

    Args:
        model: a compiled method.
        strategy: that it was made under.
        batches: distributed batches from a step on.
        prepare: what each replica does to its batch first.
        devices: parts of a batch, steps between two looks at the signals.
        steps: those that are going to be taken.
        saver: saves what was trained before, if asked to stop. A turn that is cut short in its preparation begins
            with it anew.
        signals: that ask to stop.
    """

    def __init__(self, model, strategy, batches, prepare, devices, steps, saver, signals):
        self._turn, self._batches, self._steps, self._devices = model.turn, batches, steps, devices
        self._saver, self._signals, self._iterator = saver, signals, None

        def look(batch):
            model.look_ahead(prepare(batch))

        self._look = tf.function(lambda batch: strategy.run(look, args=(batch,)), autograph=False)

    def __call__(self, step: int) -> int:
        """Prepares the turn that begins at a step, if one does; how many steps may be taken from there on."""
        turn = self._turn(step)
        if not turn:
            return self._steps.stop - step
        if step == turn.start:
            self._iterator = self._iterator or iter(self._batches(step))  # turns follow each other
            for _ in range((min(turn.stop, self._steps.stop) - step) * self._devices.accumulate_steps):
                self._look(next(self._iterator))
                if self._signals.received:
                    self._saver.save()
                    raise self._signals.stopped(step)
        return turn.stop - step


class _Executor:
    """Some updates of all replicas in one call, traced once.

    Args:
        model: a compiled method.
        strategy: that it was made under.
        iterator: over distributed batches.
        prepare: what each replica does to its batch first.
        devices: parts of a batch, XLA.
        wishes: what this process wishes at the moment: to save, to stop.

    Attributes:
        wishes: what all wish since the latest execution. Several workers must do the same after the same step, or
            one would wait for ever for another that has stopped: there a wish has to be made before an execution.
    """

    def __init__(self, model, strategy, iterator, prepare, devices, wishes: Callable[[], tuple[bool, bool]]):
        self._model, self._strategy, self._iterator, self._prepare = model, strategy, iterator, prepare
        self._devices, self._wishes = devices, wishes
        self._several = isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)
        is_compiled = compiles_step(strategy, devices.jit)
        steps = model.train_step, model.accumulate_step
        self._train, self._accumulate = (compiled(strategy, s) if is_compiled else s for s in steps)
        self._execute = tf.function(self._many, autograph=False)
        self._agree = tf.function(self._sum, autograph=False)
        self.wishes = (False, False)

    def __call__(self, count: int) -> tuple[dict[str, float], float]:
        """Makes so many updates; the logs, and the seconds waited for input."""
        save, stop = self._agree(tf.constant(self._wishes(), tf.float32)).numpy() if self._several else (0, 0)
        logs, waited = self._execute(self._iterator, tf.constant(count))
        logs = {name: float(value) for name, value in logs.items()}
        self.wishes = (save > 0, stop > 0) if self._several else self._wishes()
        return logs, float(waited)

    def _sum(self, mine):
        everyone = self._strategy.run(lambda: collectives.all_reduce_mean(tf.identity(mine)))
        return self._strategy.experimental_local_results(everyone)[0]

    def _many(self, iterator, count):
        def body(i, _, waited):
            logs, seconds = self._one(iterator)
            return i + 1, logs, waited + seconds

        nothing = {name: tf.zeros([], keras.config.floatx()) for name in self._model.step_log_names}
        start = tf.constant(0), nothing, tf.zeros([], tf.float64)
        return tf.while_loop(lambda i, *_: i < count, body, start)[1:]

    def _one(self, iterator):
        waited = tf.zeros([], tf.float64)
        for _ in range(self._devices.accumulate_steps - 1):
            batch, seconds = self._timed_next(iterator)
            waited += seconds
            self._strategy.run(lambda batch: self._accumulate(self._prepare(batch)), args=(batch,))
        batch, seconds = self._timed_next(iterator)
        logs = self._strategy.run(lambda batch: self._train(self._prepare(batch)), args=(batch,))
        logs = {name: self._strategy.reduce("MEAN", value, axis=None) for name, value in logs.items()}
        return logs, waited + seconds

    def _timed_next(self, iterator):
        if self._devices.deterministic:  # which forbids to look at the clock
            return next(iterator), tf.zeros([], tf.float64)
        start = tf.timestamp()
        with tf.control_dependencies([start]):
            batch = next(iterator)
        with tf.control_dependencies(tf.nest.flatten(batch, expand_composites=True)):
            return batch, tf.timestamp() - start


class _Pace:
    """How fast an epoch goes, and the share of its time in which the step waited for input.

    The epoch's first execution is left out, where there is another: it may trace, compile and fill the pipeline.
    """

    def __init__(self, global_batch_size: int):
        self._global_batch_size = global_batch_size
        self._start, self._waited, self._steps, self._is_first = time.perf_counter(), 0.0, 0, True

    def after(self, steps: int, seconds_waited: float | None) -> dict[str, float]:
        """The epoch so far, after an execution: `images_per_second` and, if measured, `input_wait_fraction`."""
        self._steps += steps
        now = time.perf_counter()
        logs = {"images_per_second": self._steps * self._global_batch_size / (now - self._start)}
        if seconds_waited is not None:
            self._waited += seconds_waited
            logs["input_wait_fraction"] = min(self._waited / (now - self._start), 1.0)
        if self._is_first:
            self._start, self._waited, self._steps, self._is_first = now, 0.0, 0, False
        return logs
