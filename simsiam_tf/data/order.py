"""Computes the order of training examples from the seed and the step; nothing is stored."""

import dataclasses

import tensorflow as tf

from simsiam_tf.distribute.input import Share
from simsiam_tf.errors import UsageError


@dataclasses.dataclass(frozen=True)
class ShuffledOrder:
    """Orders the training examples by a fresh permutation in each epoch, computed from the seed.

    Nothing is stored, so a run can resume at any step. A position counts the examples of the whole run: step s takes
    the positions from s * global_batch_size on.

    Attributes:
        num_examples: N, the number of training images.
        global_batch_size: the number of images in a step, over all replicas.
        seed: the seed of the run.
        epoch_steps: the number of steps in an epoch of a run whose data set was changed; 0 for that of the images.
            An epoch is then a number of steps, and the permutations follow each other without regard to it.

    Raises:
        UsageError: if the images do not fill one batch.
    """

    num_examples: int
    global_batch_size: int
    seed: int
    epoch_steps: int = 0

    def __post_init__(self) -> None:
        if self.num_examples < self.global_batch_size:
            raise UsageError(
                f"--global_batch_size must not exceed the {self.num_examples} training images. "
                f"Received: {self.global_batch_size}."
            )

    @property
    def steps_per_epoch(self) -> int:
        """Counts the whole batches in an epoch.

        Images that do not fill a batch are left out. They are different ones in each epoch.
        """
        return self.epoch_steps or self.num_examples // self.global_batch_size

    def steps(self, share: Share, start_step: int, stop_step: int | None) -> tf.data.Dataset:
        """Makes a data set of the positions that a host trains on.

        Args:
            share: the part of each global batch that the host reads.
            start_step: the first step.
            stop_step: the step after the last; `None` never stops.

        Returns:
            Positions `[B] int64` of one replica's batch at a time: step by step, part by part, replica by replica.
        """
        of_step = share.replicas * share.parts

        def positions(number: tf.Tensor) -> tf.Tensor:
            step, within = number // of_step, number % of_step
            part, replica = within // share.replicas, share.first_replica + within % share.replicas
            share_of_batch = part * share.all_replicas + replica
            start = step * self.global_batch_size + share_of_batch * share.batch_size
            return start + tf.range(share.batch_size, dtype=tf.int64)

        if stop_step is None:
            # `repeat` tells TensorFlow that the data set is infinite. Otherwise several workers would ask each other at
            # each step whether there is more data.
            numbers = tf.data.Dataset.range(start_step * of_step, tf.int64.max).repeat()
        else:
            numbers = tf.data.Dataset.range(start_step * of_step, stop_step * of_step)
        return numbers.map(positions)

    def examples(self, positions: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Computes which examples stand at some positions.

        Args:
            positions: positions from `steps`, `[B] int64`, all in the same epoch.

        Returns:
            The epoch, a scalar counted from 0, and the examples' places in the data set, `[B] int64`.
        """
        per_epoch = self.num_examples // self.global_batch_size * self.global_batch_size
        epoch = positions[0] // per_epoch
        seed = tf.cast(tf.stack([tf.constant(self.seed, tf.int64), epoch]), tf.uint32)
        return epoch, tf.random.experimental.index_shuffle(positions % per_epoch, seed, self.num_examples - 1)
