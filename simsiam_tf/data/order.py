"""The order of training examples: a function of the seed and the step, stored nowhere."""

import dataclasses

import tensorflow as tf

from simsiam_tf.distribute.input import Share
from simsiam_tf.errors import UsageError


@dataclasses.dataclass(frozen=True)
class ShuffledOrder:
    """Orders training examples: a fresh permutation in each epoch, computed from the seed; nothing is stored.

    Attributes:
        num_examples: N, the images trained on.
        global_batch_size: images of one step over all replicas.
        seed: the run's seed.
    """

    num_examples: int
    global_batch_size: int
    seed: int

    def __post_init__(self) -> None:
        if self.num_examples < self.global_batch_size:
            raise UsageError(
                f"--global_batch_size must not exceed the {self.num_examples} training images. "
                f"Received: {self.global_batch_size}."
            )

    @property
    def steps_per_epoch(self) -> int:
        """Whole batches in an epoch. The rest of the permutation is left out; another epoch leaves out others."""
        return self.num_examples // self.global_batch_size

    def steps(self, share: Share, start_step: int, stop_step: int | None) -> tf.data.Dataset:
        """Makes the positions `[B] int64` of a host's batches: step by step, part by part, replica by replica."""
        of_step = share.replicas * share.parts

        def positions(number: tf.Tensor) -> tf.Tensor:
            step, within = number // of_step, number % of_step
            part, replica = within // share.replicas, share.first_replica + within % share.replicas
            share_of_batch = part * share.all_replicas + replica
            start = step * self.global_batch_size + share_of_batch * share.batch_size
            return start + tf.range(share.batch_size, dtype=tf.int64)

        if stop_step is None:
            # Said to be infinite, or several workers would ask each other at each step whether there is more.
            numbers = tf.data.Dataset.range(start_step * of_step, tf.int64.max).repeat()
        else:
            numbers = tf.data.Dataset.range(start_step * of_step, stop_step * of_step)
        return numbers.map(positions)

    def examples(self, positions: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Computes the epoch (scalar) and the examples `[B] int64` at positions `[B]` of one and the same step."""
        per_epoch = self.steps_per_epoch * self.global_batch_size
        epoch = positions[0] // per_epoch
        seed = tf.cast(tf.stack([tf.constant(self.seed, tf.int64), epoch]), tf.uint32)
        return epoch, tf.random.experimental.index_shuffle(positions % per_epoch, seed, self.num_examples - 1)
