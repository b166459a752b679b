"""Measures how long a run would take, by three of its steps."""

import dataclasses
import logging
import math
import time

import keras
import tensorflow as tf

from simsiam_tf.config.messages import RESULT
from simsiam_tf.config.run import Config
from simsiam_tf.data.sources import listing_bad_images
from simsiam_tf.distribute.input import Share, dataset_of
from simsiam_tf.distribute.strategy import has_accelerator
from simsiam_tf.errors import UsageError
from simsiam_tf.host import usable_cores
from simsiam_tf.methods import SSLModel
from simsiam_tf.progress import duration
from simsiam_tf.training import factory
from simsiam_tf.training.data_record import knn_bank
from simsiam_tf.training.executor import Executor
from simsiam_tf.training.opened_run import OpenedImages, order_of
from simsiam_tf.training.run_input import make_input

_log = logging.getLogger(__name__)

_STEPS = 3
# The input is measured by so many batches, or by more where more are made at the same time.
_BATCHES = 8
# An image is embedded by one forward pass of one view; a step takes two views, each forward and backward.
_EMBEDDING = 1 / 6
# Seconds from the start of the program to the first step, and from the last step to the end.
_AROUND = 45.0


@dataclasses.dataclass(frozen=True)
class Trial:
    """Holds what was measured of a run.

    Attributes:
        seconds_per_step: the time of a step, with the reading of its images.
        seconds_per_embedding: the time to embed one image, with its reading, as the monitor and the report do.
    """

    seconds_per_step: float
    seconds_per_embedding: float

    @classmethod
    def of_parts(cls, computing: float, reading: float, batch: int, accelerated: bool, looks_ahead: bool) -> "Trial":
        """Puts together what was measured of a run's computing and of its reading.

        Args:
            computing: the seconds of a step whose batch is in memory already.
            reading: the seconds to read a batch while nothing else is done.
            batch: the number of images in a step.
            accelerated: whether GPUs or TPUs compute, beside which the CPU reads.
            looks_ahead: whether each batch is made and embedded before its step too, for its targets (Sec. 5.2).
        """
        computed, read = (computing * (1 + 2 * _EMBEDDING), 2 * reading) if looks_ahead else (computing, reading)
        # A CPU reads and computes on the same cores.
        step = max(computed, read) if accelerated else computed + read
        return cls(step, (computing * _EMBEDDING + reading) / batch)

    def seconds(self, config: Config, images: OpenedImages, epochs: int) -> float:
        """Returns the time of a run: its steps, its monitor, and a report at its end.

        Args:
            config: the settings of the run.
            images: the images of the run.
            epochs: the number of epochs to train.
        """
        at_the_ends, of_epoch = self._parts(config, images)
        return at_the_ends + epochs * of_epoch

    def epochs_within(self, seconds: float, config: Config, images: OpenedImages) -> int:
        """Returns the greatest number of epochs that take no more than some seconds; 0 if there is none.

        Args:
            seconds: the time for the whole run.
            config: the settings of the run.
            images: the images of the run.
        """
        at_the_ends, of_epoch = self._parts(config, images)
        return max(0, math.floor((seconds - at_the_ends) / of_epoch))

    def _parts(self, config: Config, images: OpenedImages) -> tuple[float, float]:
        """Returns the seconds before the first epoch and after the last, and those of an epoch."""
        every, steps = config.run.knn_every_epochs, order_of(config, images.source).steps_per_epoch
        monitor = _monitored(config, images) * self.seconds_per_embedding if every else 0.0
        report = images.source.num_examples * self.seconds_per_embedding
        return _AROUND + monitor + report, steps * self.seconds_per_step + (monitor / every if every else 0.0)


def expect_time(config: Config, strategy: tf.distribute.Strategy, images: OpenedImages) -> None:
    """Prints how long a run would take.

    Args:
        config: the settings of the run.
        strategy: the distribution strategy of the run.
        images: the images of the run.

    Raises:
        UsageError: if several machines would train it.
    """
    trial = measure(config, strategy, images)
    seconds = trial.seconds(config, images, config.run.epochs)
    _log.log(
        RESULT,
        f"Dry run: {config.run.epochs} epochs would take about {duration(seconds)}, by {_STEPS} steps of "
        f"{trial.seconds_per_step:.3g} seconds. Nothing was trained, and nothing was written.",
    )


def measure(config: Config, strategy: tf.distribute.Strategy, images: OpenedImages) -> Trial:
    """Measures three steps of a run with its own network, and the reading of its images.

    Args:
        config: the settings of the run.
        strategy: the distribution strategy of the run.
        images: the images of the run.

    Raises:
        UsageError: if several machines would train it.
    """
    if isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        raise UsageError("The time of a run is measured on one machine. Received: several in TF_CONFIG.")
    _log.info(f"Measuring {_STEPS} steps of {config.model.arch} at {config.data.image_size} pixels.")
    factory.set_precision(config.devices.precision)
    with listing_bad_images([images.source], None):
        computing = _seconds_of_step(config, strategy, images)
        reading = seconds_of_input(config, strategy, images)
    keras.backend.clear_session()  # the network of the run gets the names of its variables anew
    batch, ahead = config.data.global_batch_size, config.model.of_method.looks_ahead
    return Trial.of_parts(computing, reading, batch, has_accelerator(strategy), ahead)


def _seconds_of_step(config: Config, strategy: tf.distribute.Strategy, images: OpenedImages) -> float:
    """Returns the time of a step whose batch is in memory already."""
    execute, _ = step_on_one_batch(config, strategy, images)
    execute(1)  # traces the step
    start = time.perf_counter()
    execute(_STEPS)
    return (time.perf_counter() - start) / _STEPS


def step_on_one_batch(
    config: Config, strategy: tf.distribute.Strategy, images: OpenedImages, read: int = 0
) -> tuple[Executor, SSLModel]:
    """Makes the network of a run, and what takes its steps on one batch, which is read once.

    Args:
        config: the settings of the run.
        strategy: the distribution strategy of the run.
        images: the images of the run.
        read: the number of images to read, which are repeated to fill the batch; 0 reads a batch.
    """
    order = order_of(config, images.source)
    with strategy.scope():
        model = factory.make_compiled_model(config, order.steps_per_epoch, images.source.num_classes)
    factory.make_target_table(model, order)
    make_dataset, prepare = make_input(config, strategy, images.source, order)

    def one_batch(share: Share) -> tf.data.Dataset:
        count = share.replicas * share.parts
        if not read:
            return make_dataset(share, 0).take(count).cache().repeat()
        # Held as tensors: of a data set, batches would be read ahead beside the steps.
        some = tf.data.Dataset.from_tensors(next(iter(make_dataset(Share(read), 0).take(1))))
        return some.unbatch().repeat().batch(share.batch_size, drop_remainder=True).take(count).cache().repeat()

    devices = config.devices
    data = dataset_of(strategy, one_batch, config.data.global_batch_size, devices.accumulate_steps)
    return Executor(model, strategy, iter(data), prepare, devices), model


def seconds_of_input(config: Config, strategy: tf.distribute.Strategy, images: OpenedImages) -> float:
    """Measures the time to read a batch while nothing else is done.

    Args:
        config: the settings of the run.
        strategy: the distribution strategy of the run.
        images: the images of the run.

    Returns:
        The seconds.
    """
    order = order_of(config, images.source)
    make_dataset, _ = make_input(config, strategy, images.source, order)
    replicas, parts = strategy.num_replicas_in_sync, config.devices.accumulate_steps
    share = Share(config.data.global_batch_size // replicas // parts, replicas, 0, replicas, parts)
    elements, start = iter(make_dataset(share, 0)), 0.0
    # tf.data makes as many batches at the same time as there are cores, and these come all at once. The first of them
    # are left out, and the others counted from their end.
    at_once = max(2, usable_cores())
    counted = max(_BATCHES, 2 * at_once)
    for batch in range(at_once + counted):
        if batch == at_once:
            start = time.perf_counter()
        for _ in range(replicas * parts):
            next(elements)
    return (time.perf_counter() - start) / counted


def _monitored(config: Config, images: OpenedImages) -> int:
    """Returns the number of images that the monitor embeds each time."""
    data = images.data
    if data.lacks or data.labelled is None or data.evaluation is None:
        return min(2000, images.source.num_examples)
    return knn_bank(config, data.labelled).num_examples + data.evaluation.num_examples
