"""From positions in a data set to batches, as a pure function of the seed and the step."""

import dataclasses

import tensorflow as tf

from simsiam_tf.augment import policies
from simsiam_tf.augment.random import view_keys
from simsiam_tf.config import UsageError
from simsiam_tf.data.sources import Source


@dataclasses.dataclass(frozen=True)
class Order:
    """Which example comes when: another permutation of the whole set in each epoch, in no memory.

    Attributes:
        num_examples: N, the images trained on.
        global_batch_size: images of one step over all replicas.
        seed: the run's seed.
    """

    num_examples: int
    global_batch_size: int
    seed: int

    def __post_init__(self):
        if self.num_examples < self.global_batch_size:
            raise UsageError(
                f"--global_batch_size must not exceed the {self.num_examples} training images. "
                f"Received: {self.global_batch_size}."
            )

    @property
    def steps_per_epoch(self) -> int:
        """Whole batches in an epoch; the rest of the permutation waits for another epoch's."""
        return self.num_examples // self.global_batch_size

    def examples(self, positions: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """The epoch (scalar) and the examples `[B] int64` at positions `[B]` of one and the same step."""
        per_epoch = self.steps_per_epoch * self.global_batch_size
        epoch = positions[0] // per_epoch
        seed = tf.cast(tf.stack([tf.constant(self.seed, tf.int64), epoch]), tf.uint32)
        return epoch, tf.random.experimental.index_shuffle(positions % per_epoch, seed, self.num_examples - 1)


def pretraining_dataset(
    source: Source,
    order: Order,
    policy: policies.Policy,
    image_size: int,
    per_replica_batch_size: int,
    start_step: int = 0,
    stop_step: int | None = None,
) -> tf.data.Dataset:
    """Batches for the training step, from any step on.

    Consecutive elements belong to consecutive replicas: each takes its own part of the global batch.

    Args:
        source: the images.
        order: which comes when.
        policy: the augmentation of both views.
        image_size: side of the views, pixels.
        per_replica_batch_size: B.
        start_step: first global step; what came before does not matter.
        stop_step: one after the last; by default never.

    Returns:
        `{"views": (x1, x2), "index": [B] int64}`, views `[B, image_size, image_size, 3] float32`.
    """
    batch, size = per_replica_batch_size, image_size
    stop = tf.int64.max if stop_step is None else stop_step * order.global_batch_size
    positions = tf.data.Dataset.range(start_step * order.global_batch_size, stop).batch(batch, drop_remainder=True)

    def cropped(image, epoch, index, view):
        return policies.crop(policy, image, view_keys(order.seed, epoch, index, view), size)

    def finished(crops, epoch, index):
        views = []
        for view in (0, 1):
            x = policies.finish(policy, crops[view], view_keys(order.seed, epoch, index, view))
            views.append(tf.ensure_shape(x, [batch, size, size, 3]))
        return {"views": tuple(views), "index": tf.ensure_shape(index, [batch])}

    def from_memory(positions):
        epoch, index = order.examples(positions)
        images = tf.ensure_shape(source.read(index), [batch, *source.image_shape, 3])
        return finished([cropped(images, epoch, index, view) for view in (0, 1)], epoch, index)

    def decode(epoch, index):
        image = source.read(index)[tf.newaxis]  # [1, H, W, 3]
        return tuple(cropped(image, epoch, index[tf.newaxis], view)[0] for view in (0, 1)), epoch, index

    if source.image_shape is not None:
        dataset = positions.map(from_memory, tf.data.AUTOTUNE, deterministic=True)
    else:

        def spread(positions):
            epoch, index = order.examples(positions)
            return tf.data.Dataset.from_tensor_slices((tf.fill(tf.shape(index), epoch), index))

        dataset = positions.flat_map(spread).map(decode, tf.data.AUTOTUNE, deterministic=True)
        dataset = dataset.batch(batch, drop_remainder=True)
        dataset = dataset.map(
            lambda crops, epoch, index: finished(crops, epoch[0], index), tf.data.AUTOTUNE, deterministic=True
        )
    return dataset.prefetch(tf.data.AUTOTUNE)


def evaluation_dataset(
    source: Source,
    image_size: int,
    batch_size: int,
    policy: policies.Policy = policies.POLICIES["none"],
    shuffle_seed: int | None = None,
    epoch: int = 0,
    max_examples: int = 0,
) -> tf.data.Dataset:
    """Every image once, the last batch as short as it comes.

    Args:
        source: the images.
        image_size: side of the result, pixels.
        batch_size: images at a time.
        policy: by default the deterministic evaluation crop.
        shuffle_seed: seed of the order and of a random policy; `None`: in order.
        epoch: another number gives another order and other crops.
        max_examples: only the first so many; 0: all.

    Returns:
        Normalised images `[B, image_size, image_size, 3] float32` and their positions `[B] int64`.
    """
    count = min(source.num_examples, max_examples or source.num_examples)
    seed, epoch_number = shuffle_seed or 0, tf.constant(epoch, tf.int64)
    indices = tf.data.Dataset.range(count)
    if shuffle_seed is not None:
        order_seed = tf.constant([seed, epoch], tf.uint32)
        indices = indices.map(lambda i: tf.random.experimental.index_shuffle(i, order_seed, count - 1))

    def view(images, index):
        keys = view_keys(seed, epoch_number, index, 0)
        return policies.finish(policy, policies.crop(policy, images, keys, image_size), keys)

    if source.image_shape is not None:
        dataset = indices.batch(batch_size).map(lambda i: (view(source.read(i), i), i), tf.data.AUTOTUNE)
    else:
        dataset = indices.map(lambda i: (view(source.read(i)[tf.newaxis], i[tf.newaxis])[0], i), tf.data.AUTOTUNE)
        dataset = dataset.batch(batch_size)
    return dataset.prefetch(tf.data.AUTOTUNE)
