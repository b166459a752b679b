"""Orders training examples so that wide and tall images are in separate batches."""

import dataclasses

import numpy as np
import tensorflow as tf

from simsiam_tf.config.detection_data import DetectionDataConfig
from simsiam_tf.data.objects.annotations import AnnotatedImages
from simsiam_tf.data.order import ShuffledOrder

# The number of the permutation of an epoch's batches. Those of the two groups have the numbers 0 and 1.
_BATCHES = 2


@dataclasses.dataclass(frozen=True, eq=False)
class AspectOrder(ShuffledOrder):
    """Orders the training examples by fresh permutations in each epoch, with wide and tall images in separate batches.

    Each group of images is permuted, and the batches of both follow each other in shuffled sequence. Images that do not
    fill a batch of their group are left out; they are different ones in each epoch. A group that is smaller than one
    batch is not kept apart: the order is then that of `ShuffledOrder`.

    Attributes:
        sizes: the heights and widths of the images, `[N, 2]`.
    """

    sizes: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros((0, 2), np.int64))

    def __post_init__(self) -> None:
        ShuffledOrder.__post_init__(self)
        if len(self.sizes) != self.num_examples:
            raise ValueError(f"There must be {self.num_examples} sizes. Received: {len(self.sizes)}.")
        is_tall = self.sizes[:, 0] > self.sizes[:, 1]
        groups = [np.flatnonzero(~is_tall), np.flatnonzero(is_tall)]
        is_grouped = all(len(group) >= self.global_batch_size for group in groups)
        with tf.device("/cpu:0"):  # tf.data captures tensors; it would copy arrays into its graph
            held = [tf.constant(group, tf.int64) for group in groups] if is_grouped else []
        object.__setattr__(self, "_groups", held)

    @property
    def groups(self) -> list[tf.Tensor]:
        """Returns the positions of the wide and of the tall images; nothing if they are not kept apart."""
        return vars(self)["_groups"]

    @property
    def steps_per_epoch(self) -> int:
        """Counts the whole batches in an epoch."""
        return self.epoch_steps or self._batches_per_pass

    @property
    def _batches_per_pass(self) -> int:
        parts = [len(group) for group in self.groups] or [self.num_examples]
        return sum(part // self.global_batch_size for part in parts)

    def examples(self, positions: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Computes which examples stand at some positions.

        Args:
            positions: positions from `steps`, `[B] int64`, all in the same step.

        Returns:
            The epoch, a scalar counted from 0, and the examples' places in the data set, `[B] int64`.
        """
        if not self.groups:
            return ShuffledOrder.examples(self, positions)
        count, size = self._batches_per_pass, self.global_batch_size
        epoch, within = positions[0] // (count * size), positions % size
        step = positions[0] // size % count
        batch = _shuffled(step, self._seed(epoch, _BATCHES), count)
        of_first = len(self.groups[0]) // size

        def of_group(number: int, batch: tf.Tensor) -> tf.Tensor:
            group = self.groups[number]
            place = _shuffled(batch * size + within, self._seed(epoch, number), len(group))
            return tf.gather(group, place)

        wide, tall = (lambda: of_group(0, batch)), (lambda: of_group(1, batch - of_first))
        return epoch, tf.cond(batch < of_first, wide, tall)

    def _seed(self, epoch: tf.Tensor, number: int) -> tf.Tensor:
        """Returns the seed of a permutation, `[2] uint32`."""
        # No epoch of a run is as late as 2**30, so no two permutations have a seed in common.
        return tf.cast(tf.stack([tf.constant(self.seed, tf.int64), epoch + (number + 1) * 2**30]), tf.uint32)


def _shuffled(index: tf.Tensor, seed: tf.Tensor, count: int) -> tf.Tensor:
    """Returns the places of `index` in a permutation of `count` numbers."""
    return tf.random.experimental.index_shuffle(index, seed, count - 1) if count > 1 else index


def training_order(annotated: AnnotatedImages, config: DetectionDataConfig, seed: int) -> ShuffledOrder:
    """Returns the order of a run's images, with wide and tall ones in separate batches if the settings say so.

    Args:
        annotated: the training images, as `AnnotatedImages.to_train` gives them.
        config: the settings of the data set.
        seed: the seed of the run.

    Raises:
        UsageError: if the images do not fill one batch.
    """
    if config.group_by_shape:
        return AspectOrder(len(annotated), config.global_batch_size, seed, sizes=annotated.sizes)
    return ShuffledOrder(len(annotated), config.global_batch_size, seed)
