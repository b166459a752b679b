"""The one training loop. Why not `fit`: docs/decisions/0002-own-loop.md."""

import time
from collections.abc import Callable

import keras
import tensorflow as tf

from simsiam_tf import distribute
from simsiam_tf.methods import SSLModel
from simsiam_tf.progress import verbosity


def run_epochs(
    model: SSLModel,
    strategy: tf.distribute.Strategy,
    make_dataset: Callable[[distribute.Share], tf.data.Dataset],
    prepare: Callable[[dict], dict],
    callbacks: list[keras.callbacks.Callback],
    epochs: int,
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
        callbacks: Keras callbacks; logs hold the epoch's running means, and those of `_Pace`.
        epochs: of the whole run.
        steps_per_epoch: updates in an epoch.
        global_batch_size: images of an update over all replicas.
    """
    iterator = iter(distribute.dataset_of(strategy, make_dataset, global_batch_size))
    step = _step(model, strategy, prepare)
    list_of_callbacks = keras.callbacks.CallbackList(
        [keras.callbacks.ProgbarLogger(), *callbacks],
        model=model,
        epochs=epochs,
        steps=steps_per_epoch,
        verbose=verbosity(),
    )
    done = int(model.optimizer.iterations.numpy())
    list_of_callbacks.on_train_begin()
    for epoch in range(done // steps_per_epoch, epochs):
        first = done % steps_per_epoch if epoch == done // steps_per_epoch else 0
        if first == 0:
            model.reset_metrics()  # else the averages of the epoch's first part came with the checkpoint
        list_of_callbacks.on_epoch_begin(epoch)
        pace, logs = _Pace(global_batch_size), {}
        for i in range(first, steps_per_epoch):
            list_of_callbacks.on_train_batch_begin(i)
            batch = pace.waiting_for(lambda: next(iterator))
            logs = {name: float(value) for name, value in step(batch).items()} | pace.after_step()
            list_of_callbacks.on_train_batch_end(i, logs)
        list_of_callbacks.on_epoch_end(epoch, logs)
    list_of_callbacks.on_train_end()


def _step(model, strategy, prepare):
    """One update of all replicas, traced once."""

    @tf.function(autograph=False)
    def step(batch):
        logs = strategy.run(lambda batch: model.train_step(prepare(batch)), args=(batch,))
        return {name: strategy.reduce("MEAN", value, axis=None) for name, value in logs.items()}

    return step


class _Pace:
    """How fast an epoch goes, and the share of its time in which the step waited for input.

    The epoch's first step is left out, where there is another: it may trace, compile and fill the pipeline.
    """

    def __init__(self, global_batch_size: int):
        self._global_batch_size = global_batch_size
        self._start, self._waited, self._steps, self._is_first = time.perf_counter(), 0.0, 0, True

    def waiting_for(self, function):
        """Calls the function, and counts its time as waiting."""
        start = time.perf_counter()
        result = function()
        self._waited += time.perf_counter() - start
        return result

    def after_step(self) -> dict[str, float]:
        """The epoch so far: `images_per_second` and `input_wait_fraction`."""
        self._steps += 1
        now = time.perf_counter()
        logs = {
            "images_per_second": self._steps * self._global_batch_size / (now - self._start),
            "input_wait_fraction": self._waited / (now - self._start),
        }
        if self._is_first:
            self._start, self._waited, self._steps, self._is_first = now, 0.0, 0, False
        return logs
