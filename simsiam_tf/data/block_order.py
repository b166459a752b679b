"""Reads shards in a random order that streams: whole files one after another, shuffled in blocks.

A step's images are a pure function of the seed and the step, whatever the number of hosts and replicas, and training
can start at any step. Nothing here calls Python while images are read.
"""

import dataclasses
import math

import numpy as np
import tensorflow as tf

from simsiam_tf.data.order import ShuffledOrder
from simsiam_tf.data.shards import Shards
from simsiam_tf.distribute.input import Share
from simsiam_tf.files import as_path, plain_path

# A step takes the same number of images from each of so many lanes, or of fewer if they do not divide a batch.
_LANES = 8
# So many images of a lane are held at a time, and shuffled; fewer if they are large.
_BLOCK = 256
# About as many bytes are held in all, of which a block is being read, and one is ready.
_HELD_BYTES, _HELD_BLOCKS = 512 << 20, 3
_READ_BYTES = 4 << 20


@dataclasses.dataclass(frozen=True)
class BlockOrder(ShuffledOrder):
    """Orders the images of shards for reading in blocks.

    In each epoch the shards are put into a ring, in an order of their own. From a random image on, what fills whole
    batches is cut into lanes of the same length. Each lane is read from its beginning to its end; of each block of it,
    the images are put into a random order. A step takes its images from all lanes alike.

    A host that has some of the replicas reads only the lanes that their images are in.

    Attributes:
        shards: where the images are.
    """

    shards: Shards = dataclasses.field(default=None, kw_only=True)  # type: ignore[assignment]

    @property
    def lanes(self) -> int:
        """Counts the lanes."""
        return math.gcd(self.global_batch_size, _LANES)

    @property
    def _of_lane(self) -> int:
        """Counts the images of a lane in a step."""
        return self.global_batch_size // self.lanes

    @property
    def _own_steps(self) -> int:
        """Counts the steps in which all images are read, which differ from an epoch's if the images were changed."""
        return self.num_examples // self.global_batch_size

    @property
    def block(self) -> int:
        """Counts the images of a lane that are held at a time, by the mean length of their records."""
        fit = _HELD_BYTES / (_HELD_BLOCKS * self.lanes * self.shards.lengths.mean())
        return max(1, min(_BLOCK, int(fit)))

    def examples(self, positions: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Refuses to compute single images: they are known only when their lane is read."""
        raise NotImplementedError("The images of a block are known when it is read.")

    def records(self, share: Share, start_step: int, stop_step: int | None) -> tf.data.Dataset:
        """Reads the encoded images that a host trains on.

        Args:
            share: the part of each global batch that the host reads.
            start_step: the first step.
            stop_step: the step after the last; `None` never stops.

        Returns:
            The epoch, a scalar; the positions of the images in the source, `[B] int64`; and their records, `[B]`
            strings. One replica's batch at a time: step by step, part by part, replica by replica.
        """
        batches = [part * share.all_replicas + share.first_replica for part in range(share.parts)]
        first = np.concatenate([np.arange(b, b + share.replicas) for b in batches]) * share.batch_size
        places = first[:, None] + np.arange(share.batch_size)  # of each image in the global batch
        lanes = np.unique(places // self._of_lane)
        within = np.searchsorted(lanes, places // self._of_lane) * self._of_lane + places % self._of_lane

        def batches_of_step(*of_lanes: tuple[tf.Tensor, ...]) -> tf.data.Dataset:
            epoch = of_lanes[0][0][0]
            index, records = (tf.concat([lane[i] for lane in of_lanes], axis=0) for i in (1, 2))
            chosen = tf.gather(index, within), tf.gather(records, within)
            return tf.data.Dataset.from_tensor_slices((tf.repeat(epoch, len(within)), *chosen))

        steps = tf.data.Dataset.zip(tuple(self._lane(int(lane), start_step) for lane in lanes))
        dataset = steps.flat_map(batches_of_step)
        if stop_step is not None:
            return dataset.take((stop_step - start_step) * len(within))
        return dataset.apply(tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY))

    def _lane(self, lane: int, start_step: int) -> tf.data.Dataset:
        """Gives the images of a lane in each step, from a step on: epochs, positions and records, `[n]` each."""
        steps = self._own_steps
        first_epoch, first_image = start_step // steps, start_step % steps * self._of_lane

        def of_epoch(epoch: tf.Tensor) -> tf.data.Dataset:
            first = tf.where(epoch == first_epoch, tf.constant(first_image, tf.int64), tf.constant(0, tf.int64))
            return self._lane_of_epoch(lane, epoch, first)

        epochs = tf.data.Dataset.range(first_epoch, tf.int64.max)
        return epochs.flat_map(of_epoch).batch(self._of_lane, drop_remainder=True)

    def _lane_of_epoch(self, lane: int, epoch: tf.Tensor, first: tf.Tensor) -> tf.data.Dataset:
        """Gives the images of a lane in an epoch, one by one, without the first ones."""
        length, size = self._own_steps * self._of_lane, self.block
        block = first // size
        blocks = self._stream(epoch, lane * length + block * size, (lane + 1) * length).batch(size)
        number = (tf.cast(epoch, tf.int64) * self.lanes + lane) * (length // size + 2) + 1

        def shuffled(position: tf.Tensor, block: tuple[tf.Tensor, tf.Tensor]) -> tuple[tf.Tensor, ...]:
            index, records = block
            count = tf.size(index, tf.int64)
            order = tf.random.experimental.index_shuffle(tf.range(count), self._key(number + position), count - 1)
            return tf.fill([count], epoch), tf.gather(index, order), tf.gather(records, order)

        blocks = blocks.enumerate(block).map(shuffled).prefetch(1)
        return blocks.flat_map(lambda *block: tf.data.Dataset.from_tensor_slices(block)).skip(first - block * size)

    def _stream(self, epoch: tf.Tensor, start: tf.Tensor, stop: int) -> tf.data.Dataset:
        """Gives a part of an epoch's ring of shards: positions in the source, and records."""
        shards, counts = self.shards, tf.constant(self.shards.counts)
        files = tf.constant([str(plain_path(file.parent) / file.name) for file in map(as_path, shards.files)])
        starts, last = tf.constant(np.cumsum(shards.counts) - shards.counts), len(shards.files) - 1
        key = self._key(epoch, of_shards=True)
        order = tf.random.experimental.index_shuffle(tf.range(last + 1, dtype=tf.int64), key, last)
        order = tf.concat([order, order], axis=0)  # the ring, unrolled
        ends = tf.cumsum(tf.gather(counts, order))
        turn = tf.random.experimental.index_shuffle(tf.constant(0, tf.int64), key, self.num_examples - 1)
        start, stop = start + turn, stop + turn
        first = tf.searchsorted(ends, [start], side="right")[0]
        final = tf.searchsorted(ends, [stop], side="left")[0]
        before = ends[first] - tf.gather(counts, order[first])

        def of_shard(shard: tf.Tensor) -> tf.data.Dataset:
            positions = tf.data.Dataset.range(starts[shard], starts[shard] + counts[shard])
            return tf.data.Dataset.zip(positions, tf.data.TFRecordDataset(files[shard], buffer_size=_READ_BYTES))

        chosen = tf.data.Dataset.from_tensor_slices(order[first : final + 1])
        return chosen.flat_map(of_shard).skip(start - before).take(stop - start)

    def _key(self, number: tf.Tensor, of_shards: bool = False) -> tf.Tensor:
        """Returns the seed of a permutation: of the shards in an epoch, or of a block by its number in the run."""
        seed = tf.constant(self.seed, tf.int64) * 2 + int(of_shards)
        return tf.cast(tf.stack([seed, tf.cast(number, tf.int64)]), tf.uint32)
