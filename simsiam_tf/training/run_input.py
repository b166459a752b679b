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
    config: Config, strategy: tf.distribute.Strategy, source: Source, order: ShuffledOrder, looks_ahead: bool
) -> tuple[Callable[[Share, int], tf.data.Dataset], Prepare]:
    """Returns two functions: one makes the batches of a host, the other prepares a batch before the training step.

    The first makes the views, on the host, or the second does, on the device.

    Args:
        config: the settings of the run.
        strategy: the distribution strategy of the run.
        source: the training images.
        order: the order of the training images.
        looks_ahead: whether targets are precomputed; batches then also hold the positions of their images.
    """
    size, where, labelled = config.data.image_size, config.augment.augment_on, config.model.online_probe
    on_device = where == "device" or (where == "auto" and has_accelerator(strategy))
    views = factory.view_policies(config)

    def make_dataset(share: Share, start_step: int) -> tf.data.Dataset:
        dataset = pretraining_dataset(
            source, order, views, image_size=size, share=share, start_step=start_step, labelled=labelled
        )
        dataset = dataset if on_device else with_views(dataset, views, size)
        if not looks_ahead:
            return dataset
        positions = order.steps(share, start_step, None)
        return tf.data.Dataset.zip(dataset, positions).map(lambda batch, position: {**batch, "position": position})

    make_views = functools.partial(augment_views.make_views, views, size)
    return make_dataset, compiled(strategy, make_views) if on_device else lambda batch: batch
