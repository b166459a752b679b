"""Makes the input of a training step from the settings of a run."""

import functools
from collections.abc import Callable

import tensorflow as tf

from simsiam_tf.augment import views as augment_views
from simsiam_tf.config.run import Config
from simsiam_tf.data.order import ShuffledOrder
from simsiam_tf.data.pipeline import pretraining_dataset, with_views
from simsiam_tf.data.sources import Source
from simsiam_tf.distribute.input import Share
from simsiam_tf.distribute.strategy import has_accelerator
from simsiam_tf.distribute.xla import compiled
from simsiam_tf.training import factory
from simsiam_tf.training.executor import Prepare


def make_input(
    config: Config, strategy: tf.distribute.Strategy, source: Source, order: ShuffledOrder
) -> tuple[Callable[[Share, int], tf.data.Dataset], Prepare]:
    """Returns two functions: one makes the batches of a host, the other prepares a batch before the training step.

    The first makes the views, on the host, or the second does, on the device. Batches of a run that remembers targets
    also hold the positions of their images.

    Args:
        config: the settings of the run.
        strategy: the distribution strategy of the run.
        source: the training images.
        order: the order of the training images.
    """
    size, labelled = config.data.image_size, config.model.online_probe
    on_device = makes_views_on_device(config, strategy)
    crops_later = on_device and config.augment.crop_on != "host"
    views = factory.view_policies(config)

    def make_dataset(share: Share, start_step: int) -> tf.data.Dataset:
        dataset = pretraining_dataset(
            source,
            order,
            views,
            image_size=size,
            share=share,
            start_step=start_step,
            labelled=labelled,
            crops_later=crops_later,
        )
        dataset = dataset if on_device else with_views(dataset, views, size)
        if not config.model.of_method.remembers_images:
            return dataset
        positions = order.steps(share, start_step, None)
        return tf.data.Dataset.zip(dataset, positions).map(lambda batch, position: {**batch, "position": position})

    make_views = functools.partial(augment_views.make_views, views, size)
    return make_dataset, compiled(strategy, make_views) if on_device else lambda batch: batch


def makes_views_on_device(config: Config, strategy: tf.distribute.Strategy) -> bool:
    """Returns whether the training step makes the views, and the host only reads the images.

    Args:
        config: the settings of the run.
        strategy: the distribution strategy of the run.
    """
    where = config.augment.augment_on
    if where == "auto":
        return has_accelerator(strategy) or config.augment.crop_on == "device"
    return where == "device"
