"""The one training loop. Why not `fit`: docs/decisions/0002-own-loop.md."""

import time

import keras
import tensorflow as tf

from simsiam_tf.methods import SSLModel
from simsiam_tf.progress import verbosity


def run_epochs(
    model: SSLModel,
    strategy: tf.distribute.Strategy,
    dataset: tf.data.Dataset,
    callbacks: list[keras.callbacks.Callback],
    epochs: int,
    steps_per_epoch: int,
    global_batch_size: int,
) -> None:
    """Trains from the optimizer's step on, wherever in an epoch that is.

    Args:
        model: a compiled method whose optimizer is built.
        strategy: that the model was made under.
        dataset: batches of one replica each, consecutive replicas in turn, starting at the optimizer's step.
        callbacks: Keras callbacks; logs hold the epoch's running means, and `images_per_second`.
        epochs: of the whole run.
        steps_per_epoch: updates in an epoch.
        global_batch_size: images of an update over all replicas.
    """
    iterator = iter(strategy.distribute_datasets_from_function(lambda _: dataset))

    @tf.function(autograph=False)
    def step(batch):
        logs = strategy.run(model.train_step, args=(batch,))
        return {name: strategy.reduce("MEAN", value, axis=None) for name, value in logs.items()}

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
        start, logs = time.perf_counter(), {}
        for i in range(first, steps_per_epoch):
            list_of_callbacks.on_train_batch_begin(i)
            logs = {name: float(value) for name, value in step(next(iterator)).items()}
            logs["images_per_second"] = (i + 1 - first) * global_batch_size / (time.perf_counter() - start)
            list_of_callbacks.on_train_batch_end(i, logs)
        list_of_callbacks.on_epoch_end(epoch, logs)
    list_of_callbacks.on_train_end()
