"""The one training loop. Why not `fit`: docs/decisions/0002-own-loop.md."""

import time
from collections.abc import Callable

import keras
import tensorflow as tf

from simsiam_tf import distribute, workers
from simsiam_tf.checkpoints import Saver
from simsiam_tf.config import DeviceConfig
from simsiam_tf.methods import SSLModel
from simsiam_tf.progress import verbosity
from simsiam_tf.stopping import StopSignals


def run_epochs(
    model: SSLModel,
    strategy: tf.distribute.Strategy,
    make_dataset: Callable[[distribute.Share], tf.data.Dataset],
    prepare: Callable[[dict], dict],
    callbacks: list[keras.callbacks.Callback],
    saver: Saver,
    devices: DeviceConfig,
    epochs: tuple[int, int],
    steps_per_epoch: int,
    global_batch_size: int,
) -> None:
    """Trains from the optimizer's step on, wherever in an epoch that is.

    Args:
        model: a compiled method whose optimizer is built.
        strategy: that the model was made under.
        make_dataset: batches of one replica each for one host's share, consecutive replicas in turn, starting at
            the optimizer's step.
        prepare: what each replica does to its batch before the training step, on its device.
        callbacks: Keras callbacks; logs hold the epoch's running means, and those of `_Pace`. As with Keras,
            `on_train_batch_end` comes once for each execution, with its last step.
        saver: saves when it is time.
        devices: steps of an execution, parts of a batch, XLA.
        epochs: those on record, and those of the whole run.
        steps_per_epoch: updates in an epoch.
        global_batch_size: images of an update over all replicas.

    Raises:
        Stopped: after SIGTERM or an interrupt, once the step that it came in is saved.
    """
    iterator = iter(distribute.dataset_of(strategy, make_dataset, global_batch_size, devices.accumulate_steps))
    execute = _executor(model, strategy, prepare, devices)
    list_of_callbacks = keras.callbacks.CallbackList(
        [keras.callbacks.ProgbarLogger(), *callbacks],
        model=model,
        epochs=epochs[1],
        steps=steps_per_epoch,
        verbose=verbosity() if workers.is_chief(strategy) else 0,
    )
    done = int(model.optimizer.iterations.numpy())
    list_of_callbacks.on_train_begin()
    with StopSignals() as signals:
        for epoch in range(*epochs):
            at = done - epoch * steps_per_epoch  # all of the epoch's steps, if only its record is missing
            if at == 0:
                model.reset_metrics()  # else the averages of the epoch's first part came with the checkpoint
            list_of_callbacks.on_epoch_begin(epoch)
            pace, logs = _Pace(global_batch_size), _restored_logs(model, done)
            while at < steps_per_epoch:
                count = min(devices.steps_per_execution, steps_per_epoch - at)
                list_of_callbacks.on_train_batch_begin(at)
                results = execute(iterator, count, saver.is_due, signals.received)
                at, done = at + count, done + count
                logs = {name: float(value) for name, value in results.items()}
                logs |= pace.after(count, logs.pop("seconds_waited"))
                save, stop = logs.pop("save") > 0, logs.pop("stop") > 0
                list_of_callbacks.on_train_batch_end(at - 1, logs)
                if save or stop or saver.is_due_at(done):
                    saver.save()
                if stop:
                    raise signals.stopped(done)
            list_of_callbacks.on_epoch_end(epoch, logs)
            saver.save()
    list_of_callbacks.on_train_end()


def _restored_logs(model, step):
    """The epoch's means so far, as the checkpoint has them."""
    if step == 0:
        return {}
    means = {name: float(tracker.result()) for name, tracker in model.trackers.items()}
    return means | {"learning_rate": model.optimizer.learning_rate_at(step - 1)}


def _executor(model, strategy, prepare, devices):
    """Some updates of all replicas in one call, traced once."""
    compiled = distribute.compiles_step(strategy, devices.jit)
    train, accumulate = (
        distribute.compiled(strategy, step) if compiled else step for step in (model.train_step, model.accumulate_step)
    )

    def timed_next(iterator):
        if devices.deterministic:  # which forbids to look at the clock
            return next(iterator), tf.zeros([], tf.float64)
        start = tf.timestamp()
        with tf.control_dependencies([start]):
            batch = next(iterator)
        with tf.control_dependencies(tf.nest.flatten(batch, expand_composites=True)):
            return batch, tf.timestamp() - start

    def one(iterator, waited):
        for part in range(devices.accumulate_steps):
            batch, seconds = timed_next(iterator)
            waited += seconds
            if part + 1 < devices.accumulate_steps:
                strategy.run(lambda batch: accumulate(prepare(batch)), args=(batch,))
        logs = strategy.run(lambda batch: train(prepare(batch)), args=(batch,))
        logs = {name: strategy.reduce("MEAN", value, axis=None) for name, value in logs.items()}
        return {**logs, "seconds_waited": waited}

    @tf.function(autograph=False)
    def execute(iterator, count, save, stop):
        # What any process wants, all do: else one would wait for ever for another that has stopped.
        wanted = strategy.run(lambda: distribute.all_reduce_mean(tf.cast([save, stop], tf.float32)))
        wanted = strategy.experimental_local_results(wanted)[0]
        logs = {name: tf.zeros([], keras.config.floatx()) for name in (*model.trackers, "learning_rate")}
        _, logs = tf.while_loop(
            lambda i, _: i < count,
            lambda i, logs: (i + 1, one(iterator, logs["seconds_waited"])),
            (0, {**logs, "seconds_waited": tf.zeros([], tf.float64)}),
        )
        return {**logs, "save": wanted[0], "stop": wanted[1]}

    return lambda iterator, count, save, stop: execute(
        iterator, tf.constant(count), tf.constant(save), tf.constant(stop)
    )


class _Pace:
    """How fast an epoch goes, and the share of its time in which the step waited for input.

    The epoch's first execution is left out, where there is another: it may trace, compile and fill the pipeline.
    """

    def __init__(self, global_batch_size: int):
        self._global_batch_size = global_batch_size
        self._start, self._waited, self._steps, self._is_first = time.perf_counter(), 0.0, 0, True

    def after(self, steps: int, seconds_waited: float) -> dict[str, float]:
        """The epoch so far, after an execution: `images_per_second` and `input_wait_fraction`."""
        self._steps += steps
        self._waited += seconds_waited
        now = time.perf_counter()
        logs = {
            "images_per_second": self._steps * self._global_batch_size / (now - self._start),
            "input_wait_fraction": min(self._waited / (now - self._start), 1.0),
        }
        if self._is_first:
            self._start, self._waited, self._steps, self._is_first = now, 0.0, 0, False
        return logs
