"""Makes batches of the images at given positions, as a pure function of the seed and the step.

A batch holds uint8 images and the random parameters of their views, both small. `make_views` makes the views from them,
either on the host, called from here, or on the accelerator. The parameters are always drawn here, so both places use
the same ones.
"""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from simsiam_tf.augment import policies
from simsiam_tf.augment import views as augment_views
from simsiam_tf.augment.policies import Policy
from simsiam_tf.augment.threefry import view_keys
from simsiam_tf.data import decoding
from simsiam_tf.data.block_order import BlockOrder
from simsiam_tf.data.crops import Canvases, Crops, Cutter
from simsiam_tf.data.order import ShuffledOrder
from simsiam_tf.data.shards import HEIGHT, IMAGE, WIDTH
from simsiam_tf.data.sources import Source
from simsiam_tf.distribute.input import Share
from simsiam_tf.distribute.xla import compiled_on_host, host_compiles

# The shapes and types of the positions of an image: the one that was asked for, and the one that is shown.
_POSITIONS = (((), np.dtype(np.int64)),) * 2
# Without this, AutoGraph would analyse the functions that make batches for each data set, and find nothing to convert.
_as_it_is = tf.autograph.experimental.do_not_convert


def pretraining_dataset(
    source: Source,
    order: ShuffledOrder,
    views: tuple[Policy, ...],
    image_size: int,
    share: Share,
    start_step: int = 0,
    stop_step: int | None = None,
    labelled: bool = False,
    crops_later: bool = False,
) -> tf.data.Dataset:
    """Makes the batches of a run, from any step on. `make_views` makes their views later.

    Consecutive elements belong to consecutive replicas, each with its own part of the global batch. An unreadable image
    is replaced by the next one of the source.

    Args:
        source: the training images.
        order: the order of the images.
        views: a policy for each view.
        image_size: the image size of the run, in pixels.
        share: the part of each global batch that this host reads.
        start_step: the first step. A batch does not depend on the steps before it.
        stop_step: the step after the last; `None` never stops.
        labelled: whether batches hold the labels of their images; the source must then have labels.
        crops_later: whether images that are read one by one stay whole, for `make_views` to crop; see `Canvases`.

    Returns:
        Dictionaries with `images` and `parameters` as for `make_views`; `index`, the positions in the source that the
        order asks for, `[B] int64`; and, if `labelled`, `labels`, those of the images shown, `[B] int64`.
    """
    reader = _Reader(source, views, image_size, order.seed, labelled, crops_later)
    if isinstance(order, BlockOrder):
        return reader.batches_of_records(order.records(share, start_step, stop_step), share.batch_size)
    chosen = order.steps(share, start_step, stop_step).map(order.examples, tf.data.AUTOTUNE, deterministic=True)
    return reader.batches(chosen, replace=True)


def views_of(
    source: Source, views: tuple[Policy, ...], image_size: int, seed: int, epoch: int, index: Sequence[int]
) -> tuple[tf.Tensor, ...]:
    """Makes the views that a run sees of some images in one epoch.

    Args:
        source: the images.
        views: a policy for each view.
        image_size: the image size of the run, in pixels.
        seed: the seed of the run.
        epoch: the epoch, counted from 0.
        index: the positions of n images in the source.

    Returns:
        Normalised images of each view, `[n, side, side, 3] float32`.
    """
    chosen = tf.data.Dataset.from_tensors((tf.constant(epoch, tf.int64), tf.constant(index, tf.int64)))
    batches = _Reader(source, views, image_size, seed).batches(chosen, replace=True)
    return next(iter(with_views(batches, views, image_size)))["views"]


def with_views(dataset: tf.data.Dataset, views: tuple[Policy, ...], image_size: int) -> tf.data.Dataset:
    """Makes the views of each batch on the host.

    Args:
        dataset: batches as for `make_views`.
        views: a policy for each view.
        image_size: the image size of the run, in pixels.

    Returns:
        The batches with `views`, `[B, side, side, 3] float32` each, in place of `images` and `parameters`.
    """
    return dataset.map(_maker(views, image_size), tf.data.AUTOTUNE, deterministic=True).prefetch(tf.data.AUTOTUNE)


@functools.cache  # compiled once, not for each data set
def _maker(views: tuple[Policy, ...], size: int) -> Callable[..., Any]:
    """Returns the function that makes the views of a batch on the host."""
    make = augment_views.make_views_one_by_one if host_compiles() else augment_views.make_views
    return compiled_on_host(functools.partial(make, views, size))


@functools.cache
def _sampler(views: tuple[Policy, ...], seed: int) -> Callable[..., Any]:
    """Returns the function that draws the parameters of each view, all but the crop's."""
    return compiled_on_host(functools.partial(augment_views.sample_views, views, seed))


@functools.cache
def _drawer(views: tuple[Policy, ...], seed: int) -> Callable[..., Any]:
    """Returns the function that draws the uniform numbers of each view's crops, `[B, n]`."""

    def draw(epoch: tf.Tensor, index: tf.Tensor) -> tuple[tf.Tensor, ...]:
        keys = (view_keys(seed, epoch, index, i) for i in range(len(views)))
        return tuple(augment_views.crop_draws(policy, k) for policy, k in zip(views, keys, strict=True))

    return compiled_on_host(draw)


def evaluation_dataset(
    source: Source,
    image_size: int,
    batch_size: int,
    policy: Policy = policies.EVALUATION_CROP,
    shuffle_seed: int | None = None,
    epoch: int = 0,
    start: int = 0,
) -> tf.data.Dataset:
    """Makes batches of all readable images, once each. The last batch may be smaller.

    Args:
        source: the images.
        image_size: the side of the results, in pixels.
        batch_size: the number of images in a batch.
        policy: the augmentation; by default the centre crop that every evaluation uses.
        shuffle_seed: the seed of the order and of a random policy. `None` keeps the order of the source.
        epoch: the epoch; each one has another order and other crops.
        start: the number of images to leave out at the beginning.

    Returns:
        Pairs of normalised images, `[B, image_size, image_size, 3] float32`, and their positions in the source,
        `[B] int64`.
    """
    count = source.num_examples
    seed, epoch_number = shuffle_seed or 0, tf.constant(epoch, tf.int64)
    indices = tf.data.Dataset.range(start, count)
    if shuffle_seed is not None:
        order_seed = tf.constant([seed, epoch], tf.uint32)
        indices = indices.map(lambda i: tf.random.experimental.index_shuffle(i, order_seed, count - 1))
    chosen = indices.batch(batch_size).map(lambda index: (epoch_number, index))
    batches = _Reader(source, (policy,), image_size, seed).batches(chosen, replace=False)
    return with_views(batches, (policy,), image_size).map(lambda batch: (batch["views"][0], batch["index"]))


@dataclasses.dataclass(frozen=True)
class _Reader:
    """Makes batches of chosen examples: their images, and the parameters of their views.

    Attributes:
        source: the images.
        views: a policy for each view.
        size: the image size of the run, in pixels.
        seed: the seed of the run.
        labelled: whether batches hold the labels of the images that they show.
        crops_later: whether images that are read one by one stay whole.
    """

    source: Source
    views: tuple[Policy, ...]
    size: int
    seed: int
    labelled: bool = False
    crops_later: bool = False

    @functools.cached_property
    def cutter(self) -> Cutter:
        """Returns what cuts the views' parts out of images that are read one by one."""
        return Canvases(self.views, self.size) if self.crops_later else Crops(self.views, self.size)

    def batches(self, chosen: tf.data.Dataset, replace: bool) -> tf.data.Dataset:
        """Makes the batches of chosen examples.

        Args:
            chosen: the epoch of each batch, and the positions of its examples in the source, `[B] int64`.
            replace: whether an unreadable image is replaced by the next one; otherwise it is left out.
        """
        if self.source.files is None:
            read = _as_it_is(functools.partial(self._from_memory, self.source.images))
            dataset = chosen.map(read, tf.data.AUTOTUNE, deterministic=True)
        else:
            # Two batches at a time, so that no core is idle during the last image of a batch. The threads that read
            # the images of a batch are in `_load_batch`.
            read = _as_it_is(functools.partial(self._from_files, replace))
            dataset = chosen.map(read, num_parallel_calls=2, deterministic=True)
            if not replace:
                dataset = dataset.filter(lambda batch: tf.size(batch["index"]) > 0)
        return dataset.prefetch(tf.data.AUTOTUNE)

    def batches_of_records(self, records: tf.data.Dataset, batch_size: int) -> tf.data.Dataset:
        """Makes batches of records of shards, by TensorFlow ops alone.

        Args:
            records: the epoch of each batch, the positions of its images `[B]`, and their records `[B]`.
            batch_size: B, the number of images in a batch.
        """

        def drawn(epoch: tf.Tensor, index: tf.Tensor, records: tf.Tensor) -> tuple[Any, ...]:
            kinds = {IMAGE: tf.string, HEIGHT: tf.int64, WIDTH: tf.int64}
            found = tf.io.parse_example(
                records, {name: tf.io.FixedLenFeature([], kind) for name, kind in kinds.items()}
            )
            draws = _drawer(self.views, self.seed)(epoch, index)
            boxes = self.cutter.boxes_by_ops(draws, found[HEIGHT], found[WIDTH])
            return tf.repeat(epoch, batch_size), index, found[IMAGE], boxes

        def cut(epoch: tf.Tensor, index: tf.Tensor, encoded: tf.Tensor, boxes: tf.Tensor) -> tuple[Any, ...]:
            return epoch, index, *self.cutter.by_ops(encoded, boxes)

        def batch(epoch: tf.Tensor, index: tf.Tensor, *arrays: tf.Tensor) -> dict[str, Any]:
            images = self.cutter.batch(arrays, _sampler(self.views, self.seed)(epoch[0], index))
            return {**images, "index": index, **self._labels(index)}

        dataset = records.map(_as_it_is(drawn), tf.data.AUTOTUNE, deterministic=True).unbatch()
        dataset = dataset.map(_as_it_is(cut), tf.data.AUTOTUNE, deterministic=True).batch(batch_size, True)
        return dataset.map(_as_it_is(batch), tf.data.AUTOTUNE, deterministic=True).prefetch(tf.data.AUTOTUNE)

    def _from_memory(self, images: tf.Tensor, epoch: tf.Tensor, index: tf.Tensor) -> dict[str, Any]:
        """Makes a batch of whole images, with the box of each view's crop among the parameters."""
        height, width = images.shape[1:3]
        parameters = _sampler(self.views, self.seed)(epoch, index)
        of_crops = _drawer(self.views, self.seed)(epoch, index)
        for policy, draws, values in zip(self.views, of_crops, parameters, strict=True):
            box = augment_views.boxes(policy, draws, height, width, self.size)
            values["box"] = tf.ensure_shape(box, [index.shape[0], 4])
        shared = (tf.gather(images, index),)  # all views share one image
        return {"images": shared, "parameters": parameters, "index": index, **self._labels(index)}

    def _labels(self, shown: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"labels": tf.gather(self.source.known_labels, shown)} if self.labelled else {}

    def _from_files(self, replace: bool, epoch: tf.Tensor, index: tf.Tensor) -> dict[str, Any]:
        """Makes a batch of images that Pillow reads."""
        load = functools.partial(self._load_batch, replace)
        draws = _drawer(self.views, self.seed)(epoch, index)
        shapes = [*self.cutter.shapes, *_POSITIONS]
        found = tf.numpy_function(load, [index, *draws], [kind for _, kind in shapes], stateful=False)
        length = index.shape[0] if replace else None
        *arrays, index, shown = (
            tf.ensure_shape(x, [length, *shape]) for x, (shape, _) in zip(found, shapes, strict=True)
        )
        images = self.cutter.batch(arrays, _sampler(self.views, self.seed)(epoch, index))
        return {**images, "index": index, **self._labels(shown)}

    def _load_batch(self, replace: bool, index: np.ndarray, *draws: np.ndarray) -> tuple[np.ndarray, ...]:
        """Reads the images of a batch.

        Returns:
            The arrays of the cutter; the examples that were asked for, `[B]`; the examples that are shown, `[B]`.
            Images that were neither read nor replaced are left out.
        """
        images = self.cutter.empty(len(index))

        def load(i: int) -> int:
            return self._load([array[i] for array in images], index[i], [d[i] for d in draws], replace)

        shown = np.array(list(decoding.threads().map(load, range(len(index)))), np.int64)
        readable = shown >= 0
        everything = (*images, index, shown)
        return everything if all(readable) else tuple(part[readable] for part in everything)

    def _load(self, arrays: list[np.ndarray], index: int, draws: list[np.ndarray], replace: bool) -> int:
        """Fills in an image's place in each array of the cutter; returns the example that is shown, or -1."""
        files, count = self.source.files, self.source.num_examples
        assert files is not None
        for i in range(index, index + (count if replace else 1)):
            if files.unreadable.is_closed:
                return -1
            try:
                image = decoding.open_image(files.load(i % count), files.pixels)
                self.cutter.fill(arrays, image, [of_view.tolist() for of_view in draws], files.pixels)
                return i % count
            except Exception as error:  # Pillow raises errors of many types for broken files
                files.skip(i % count, error)
        return -1
