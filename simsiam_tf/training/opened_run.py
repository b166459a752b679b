"""Opens what a run needs: its images, its order of them, its kNN protocol and its folder."""

import dataclasses
import json
import logging

import tensorflow as tf

from simsiam_tf.config.messages import RESULT
from simsiam_tf.config.run import Config
from simsiam_tf.data.block_order import BlockOrder
from simsiam_tf.data.dataset import DataSet
from simsiam_tf.data.order import ShuffledOrder
from simsiam_tf.data.overview import overview
from simsiam_tf.data.shards import shards_of
from simsiam_tf.data.sight import Sight, look_at
from simsiam_tf.data.sources import Source
from simsiam_tf.distribute import workers
from simsiam_tf.distribute.input import per_replica_batch_size
from simsiam_tf.distribute.strategy import has_accelerator
from simsiam_tf.distribute.xla import compiles_step
from simsiam_tf.errors import UsageError
from simsiam_tf.features.knn import KNNProtocol
from simsiam_tf.files import user_path
from simsiam_tf.training import limits
from simsiam_tf.training.data_record import compare_data, held_out_by, knn_bank
from simsiam_tf.training.workdir import Workdir

_log = logging.getLogger(__name__)

# Strategies whose replicas cannot share a table in the memory of one host.
_SEVERAL_HOSTS = tf.distribute.MultiWorkerMirroredStrategy, tf.distribute.TPUStrategy


@dataclasses.dataclass(frozen=True)
class OpenedImages:
    """Holds the images of a run, and what was seen of them.

    Attributes:
        data: the data set.
        source: the training images.
        sight: what was seen of the first images; `None` on workers other than the chief.
        lines: the overview of the data set, for the record; empty on workers other than the chief.
    """

    data: DataSet
    source: Source
    sight: Sight | None
    lines: list[str]

    @classmethod
    def open(cls, config: Config, strategy: tf.distribute.Strategy) -> "OpenedImages":
        """Opens the images of a run. The chief looks at the first ones, and prints what the data set is.

        Args:
            config: the settings of the run.
            strategy: the distribution strategy of the run.

        Raises:
            UsageError: if there is no such data set, or it cannot be used.
        """
        data = DataSet(config.data, held_out_by(user_path(config.run.workdir)))
        source = data.training.first(config.data.max_examples)
        sight = workers.on_chief(strategy, lambda: look_at(source), None)
        lines = overview(data, sight, source.num_examples) if sight else []
        for line in lines:
            _log.info(line)
        return cls(data, source, sight, lines)


@dataclasses.dataclass(frozen=True)
class OpenedRun:
    """Holds what training a run needs: its settings, images and folder.

    Attributes:
        config: the settings of the run.
        strategy: the distribution strategy of the run.
        source: the training images.
        order: the order of the training images.
        knn: the protocol of the kNN monitor; `None` if kNN is off, and on workers other than the chief.
        workdir: the folder of the run.
    """

    config: Config
    strategy: tf.distribute.Strategy
    source: Source
    order: ShuffledOrder
    knn: KNNProtocol | None
    workdir: Workdir

    @property
    def is_chief(self) -> bool:
        """Returns whether this process writes the results."""
        return workers.is_chief(self.strategy)

    @classmethod
    def open(cls, config: Config, strategy: tf.distribute.Strategy, images: OpenedImages) -> "OpenedRun | None":
        """Opens the folder of a run; returns `None` if the run is finished.

        Args:
            config: the settings of the run.
            strategy: the distribution strategy of the run.
            images: the images of the run.

        Raises:
            UsageError: if the settings, the images or the folder cannot be used.
        """
        source = images.source
        order = order_of(config, source)
        knn = knn_protocol(config, images.data) if workers.is_chief(strategy) else None
        workdir = _open_workdir(config, strategy)
        if workdir is None:
            return None
        order = workers.on_chief(
            strategy, lambda: compare_data(config, workdir, images.data, order, images.lines), order
        )
        order = dataclasses.replace(order, epoch_steps=workers.broadcast_from_chief(strategy, order.epoch_steps))
        run = cls(config=config, strategy=strategy, source=source, order=order, knn=knn, workdir=workdir)
        steps_per_execution = config.devices.steps_per_execution
        alike = {**config.identity(), "steps_per_execution": steps_per_execution, "images": source.num_examples}
        workers.check_same_run(strategy, json.dumps(alike, default=str))
        return run


def order_of(config: Config, source: Source) -> ShuffledOrder:
    """Returns the order in which a run trains on its images.

    Raises:
        UsageError: if there are fewer images than one batch has, if an online probe lacks labels, or if the method
            cannot be trained on shards.
    """
    if config.model.online_probe and source.labels is None:
        raise UsageError(f"--online_probe needs labelled training images. Received: {source.name}, without labels.")
    numbers = source.num_examples, config.data.global_batch_size, config.run.seed
    if not config.data.reads_blocks:
        return ShuffledOrder(*numbers)
    if config.model.of_method.remembers_images:
        raise UsageError(
            "--eta_momentum and --alternation_steps look up the images of later steps, which shards that are read in "
            "blocks do not allow; add --input=python. Received: --dataset=shards."
        )
    return BlockOrder(*numbers, shards=shards_of(source.images))


def refuse_what_cannot_be_computed(config: Config, strategy: tf.distribute.Strategy) -> None:
    """Checks that the devices can do what the settings ask for, before anything is built.

    Args:
        config: the settings of the run.
        strategy: the distribution strategy of the run.

    Raises:
        UsageError: if they cannot.
    """
    devices, batch_size = config.devices, config.data.global_batch_size
    per_replica_batch_size(batch_size, strategy.num_replicas_in_sync, devices.accumulate_steps)
    compiles_step(strategy, devices.jit)
    accelerated = has_accelerator(strategy)
    shares = strategy.num_replicas_in_sync if isinstance(strategy, _SEVERAL_HOSTS) else 1
    limits.check_memory(config, devices.cpu_devices, shares, holds_activations=not accelerated)
    if slow := limits.slow_precision(config, accelerated):
        _log.warning(slow)
    if config.model.of_method.remembers_images and isinstance(strategy, _SEVERAL_HOSTS):
        raise UsageError(
            "--eta_momentum and --alternation_steps keep targets of each image in the memory of one host; they need "
            f"a single host without a TPU; the number of replicas is free. Received: {type(strategy).__name__}."
        )


def knn_protocol(config: Config, data: DataSet) -> KNNProtocol | None:
    """Returns the protocol of the kNN monitor, or `None` if it is off or labels are missing."""
    if config.run.knn_every_epochs == 0:
        return None
    if data.lacks or data.labelled is None or data.evaluation is None:
        _log.info(f"kNN is off: the data set {config.data.dataset} has {data.lacks}.")
        return None
    return KNNProtocol(knn_bank(config, data.labelled), data.evaluation, precision=config.devices.precision)


def _open_workdir(config: Config, strategy: tf.distribute.Strategy) -> Workdir | None:
    """Opens and locks the folder of a run, on the chief only; returns `None` on every worker if the run is finished."""
    closed = Workdir(user_path(config.run.workdir))
    workdir = workers.on_chief(strategy, lambda: Workdir.open_for_training(config), closed)
    is_finished = workers.on_chief(strategy, workdir.is_finished, False)
    if workers.broadcast_from_chief(strategy, int(is_finished)):
        _log.log(RESULT, f"This run is finished; its results are in {workdir.summary_path}. Nothing was changed.")
        return None
    return workdir
