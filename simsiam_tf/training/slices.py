"""Refuses runs that a TPU of several hosts, a slice, cannot do.

The hosts besides the first run TensorFlow, but no Python of ours, and share no file system with it.
"""

import dataclasses
import logging

import tensorflow as tf

from simsiam_tf.config.run import Config
from simsiam_tf.data.graph import python_ops
from simsiam_tf.data.pipeline import evaluation_dataset
from simsiam_tf.data.sources import Source
from simsiam_tf.distribute.input import Share, per_replica_batch_size
from simsiam_tf.distribute.strategy import hosts_of_tpu
from simsiam_tf.errors import check
from simsiam_tf.training.opened_run import OpenedImages, order_of
from simsiam_tf.training.run_input import make_input

_log = logging.getLogger(__name__)

# How paths begin that all hosts can read and write.
_BUCKET = "gs://"
_WHERE = "on a TPU of several hosts"


def check_settings(config: Config, hosts: int, calls_python: bool = False) -> None:
    """Checks that a TPU of some hosts can do what the settings ask for.

    Args:
        config: the settings of the run.
        hosts: the number of hosts; one can do everything.
        calls_python: whether the input is known to call Python.

    Raises:
        UsageError: if it cannot. The sentence says which flag to add.
    """
    if hosts <= 1:
        return
    data, workdir = config.data, config.run.workdir
    check(
        workdir.startswith(_BUCKET),
        f"--workdir must be a folder that all hosts can write to {_WHERE}, as in --workdir=gs://BUCKET/runs/NAME.",
        workdir,
    )
    check(
        data.dataset != "folder" and not calls_python,
        f"--dataset must be a set that is held in memory, or --dataset=shards, {_WHERE}, which read images without "
        "Python; python -m simsiam_tf.cli.prepare makes shards.",
        data.dataset,
    )
    if data.dataset != "shards":  # of a set of TFDS, whether it is held in memory is known once it is opened
        return
    check(
        data.reads_blocks,
        f"--input must be tensorflow {_WHERE}, which read images without Python; add --input=tensorflow.",
        data.input,
    )
    check(
        data.data_dir.startswith(_BUCKET),
        f"--data_dir must be a folder that all hosts can read {_WHERE}, as in --data_dir=gs://BUCKET/shards.",
        data.data_dir or "none",
    )


def check_input(config: Config, strategy: tf.distribute.Strategy, source: Source) -> None:
    """Checks that the input of a run on a TPU of several hosts does not call Python, by a look at its graph.

    Args:
        config: the settings of the run.
        strategy: the distribution strategy of the run.
        source: the training images.

    Raises:
        UsageError: if it calls Python.
    """
    hosts, replicas = hosts_of_tpu(strategy), strategy.num_replicas_in_sync
    if hosts <= 1:
        return
    parts = config.devices.accumulate_steps
    batch_size = per_replica_batch_size(config.data.global_batch_size, replicas, parts)
    make_dataset, _ = make_input(config, strategy, source, order_of(config, source))
    share = Share(batch_size, replicas // hosts, all_replicas=replicas, parts=parts)
    check_settings(config, hosts, calls_python=bool(python_ops(make_dataset(share, 0))))


def without_blind_monitor(config: Config, strategy: tf.distribute.Strategy, images: OpenedImages) -> Config:
    """Switches the monitors off where they could not see their images: on several hosts, if Python reads these.

    Args:
        config: the settings of the run.
        strategy: the distribution strategy of the run.
        images: the images of the run.

    Returns:
        The settings, with `knn_every_epochs` 0 in that case.
    """
    if config.run.knn_every_epochs == 0 or hosts_of_tpu(strategy) <= 1:
        return config
    sources = [s for s in (images.source, images.data.labelled, images.data.evaluation) if s is not None]
    if not any(python_ops(evaluation_dataset(source, config.data.image_size, 1)) for source in sources):
        return config
    _log.info(
        "The monitors (kNN and the spread of the features) are off: Python reads their images, and the hosts of a TPU "
        "slice run none; evaluate.py --protocol=knn measures kNN afterwards, on one machine."
    )
    return dataclasses.replace(config, run=dataclasses.replace(config.run, knn_every_epochs=0))
