"""From positions in a data set to batches, as a pure function of the seed and the step.

A batch is images and the parameters of their views, both small; `make_views` makes views of it, here on the
host or on the accelerator. Parameters are drawn here always, so they cannot differ."""

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
from simsiam_tf.data.order import ShuffledOrder
from simsiam_tf.data.sources import Source
from simsiam_tf.distribute.input import Share
from simsiam_tf.distribute.xla import compiled_on_host, host_compiles

# AutoGraph would read the functions that make batches anew for each data set, and find nothing to rewrite.
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
) -> tf.data.Dataset:
    """Makes the batches of a run, from any step on, of which views are made later.

    Consecutive elements belong to consecutive replicas: each takes its own part of the global batch. An unreadable
    image is replaced by the next.

    Args:
        source: the images.
        order: which comes when.
        views: a policy for each view.
        image_size: side of the views, pixels.
        share: this host's.
        start_step: first global step; what came before does not matter.
        stop_step: one after the last; by default never.
        labelled: whether the batches shall hold the images' labels, which the source must have.

    Returns:
        `{"images", "parameters"}` as `make_views` takes them, `index`, and if asked for `labels`, `[B] int64`.
    """
    chosen = order.steps(share, start_step, stop_step).map(order.examples, tf.data.AUTOTUNE, deterministic=True)
    return _Reader(source, views, image_size, order.seed, labelled).batches(chosen, replace=True)


def views_of(
    source: Source, views: tuple[Policy, ...], image_size: int, seed: int, epoch: int, index: Sequence[int]
) -> tuple[tf.Tensor, ...]:
    """Makes the views that a run sees of given examples in an epoch.

    Args:
        source: the images.
        views: a policy for each view.
        image_size: side of the views, pixels.
        seed: the run's.
        epoch: counted from 0.
        index: positions in the source, n of them.

    Returns:
        `[n, image_size, image_size, 3] float32` for each view, normalised.
    """
    chosen = tf.data.Dataset.from_tensors((tf.constant(epoch, tf.int64), tf.constant(index, tf.int64)))
    batches = _Reader(source, views, image_size, seed).batches(chosen, replace=True)
    return next(iter(with_views(batches, views, image_size)))["views"]


def with_views(dataset: tf.data.Dataset, views: tuple[Policy, ...], image_size: int) -> tf.data.Dataset:
    """Makes the views of each batch on the host.

    Args:
        dataset: batches as `make_views` takes them.
        views: a policy for each view.
        image_size: side of the views, pixels.

    Returns:
        `{"views", "index"}` as `make_views` returns them.
    """
    return dataset.map(_maker(views, image_size), tf.data.AUTOTUNE, deterministic=True).prefetch(tf.data.AUTOTUNE)


@functools.cache  # compiled once, however many data sets are made
def _maker(views: tuple[Policy, ...], size: int) -> Callable[..., Any]:
    make = augment_views.make_views_one_by_one if host_compiles() else augment_views.make_views
    return compiled_on_host(functools.partial(make, views, size))


@functools.cache
def _sampler(views: tuple[Policy, ...], seed: int) -> Callable[..., Any]:
    return compiled_on_host(functools.partial(augment_views.sample_views, views, seed))


@functools.cache
def _drawer(views: tuple[Policy, ...], seed: int) -> Callable[..., Any]:
    """Makes the function that draws the uniform numbers of each view's crops, `[B, n]`."""

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
    """Makes batches of every image that can be read, once each; the last batch is as short as it comes.

    Args:
        source: the images.
        image_size: side of the result, pixels.
        batch_size: images at a time.
        policy: by default the deterministic evaluation crop.
        shuffle_seed: seed of the order and of a random policy; `None`: in order.
        epoch: another number gives another order and other crops.
        start: position to begin at.

    Returns:
        Normalised images `[B, image_size, image_size, 3] float32` and their positions `[B] int64`.
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
    """Turns chosen examples into images and parameters.

    Attributes:
        source: the images.
        views: a policy for each view.
        size: the run's image size, pixels.
        seed: the run's.
        labelled: whether batches hold the labels of the images that they show.
    """

    source: Source
    views: tuple[Policy, ...]
    size: int
    seed: int
    labelled: bool = False

    @property
    def sides(self) -> list[int]:
        return [policy.side(self.size) for policy in self.views]

    def batches(self, chosen: tf.data.Dataset, replace: bool) -> tf.data.Dataset:
        """Reads batches of (epoch, examples `[B]`). An unreadable image is replaced by the next one, or left out."""
        if self.source.files is None:
            read = _as_it_is(functools.partial(self._from_memory, self.source.images))
            dataset = chosen.map(read, tf.data.AUTOTUNE, deterministic=True)
        else:
            # Two at a time, so that no core waits for a batch's last image; the threads are within.
            read = _as_it_is(functools.partial(self._from_files, replace))
            dataset = chosen.map(read, num_parallel_calls=2, deterministic=True)
            if not replace:
                dataset = dataset.filter(lambda batch: tf.size(batch["index"]) > 0)
        return dataset.prefetch(tf.data.AUTOTUNE)

    def _from_memory(self, images: tf.Tensor, epoch: tf.Tensor, index: tf.Tensor) -> dict[str, Any]:
        height, width = images.shape[1:3]
        parameters = _sampler(self.views, self.seed)(epoch, index)
        of_crops = _drawer(self.views, self.seed)(epoch, index)
        for policy, draws, values in zip(self.views, of_crops, parameters, strict=True):

            def boxes(draws: np.ndarray, policy: Policy = policy) -> np.ndarray:
                return np.array(
                    [augment_views.box(policy, d, height, width, self.size) for d in draws.tolist()], np.float32
                )

            box = tf.numpy_function(boxes, [draws], tf.float32, stateful=False)
            values["box"] = tf.ensure_shape(box, [index.shape[0], 4])
        shared = (tf.gather(images, index),)  # one for all views
        return {"images": shared, "parameters": parameters, "index": index, **self._labels(index)}

    def _labels(self, shown: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"labels": tf.gather(self.source.known_labels, shown)} if self.labelled else {}

    def _from_files(self, replace: bool, epoch: tf.Tensor, index: tf.Tensor) -> dict[str, Any]:
        load = functools.partial(self._load_batch, replace)
        draws = _drawer(self.views, self.seed)(epoch, index)
        types = [tf.uint8] * len(self.views) + [tf.int64] * 2
        *images, kept, shown = tf.numpy_function(load, [index, *draws], types, stateful=False)
        length = index.shape[0] if replace else None
        index, shown = tf.ensure_shape(kept, [length]), tf.ensure_shape(shown, [length])
        images = tuple(tf.ensure_shape(x, [length, n, n, 3]) for x, n in zip(images, self.sides, strict=True))
        parameters = _sampler(self.views, self.seed)(epoch, index)
        return {"images": images, "parameters": parameters, "index": index, **self._labels(shown)}

    def _load_batch(self, replace: bool, index: np.ndarray, *draws: np.ndarray) -> tuple[np.ndarray, ...]:
        """Reads crops of each view, `[B, side, side, 3] uint8`.

        Behind them it returns the examples `[B]` asked for, and those that the crops show.
        """
        images = [decoding.empty_images((len(index), side, side, 3)) for side in self.sides]

        def load(i: int) -> int:
            return self._load([view[i] for view in images], index[i], [d[i] for d in draws], replace)

        shown = np.array(list(decoding.threads().map(load, range(len(index)))), np.int64)
        readable = shown >= 0
        everything = (*images, index, shown)
        return everything if all(readable) else tuple(part[readable] for part in everything)

    def _load(self, crops: list[np.ndarray], index: int, draws: list[np.ndarray], replace: bool) -> int:
        """Fills in the crops of one image, `[side, side, 3]` of each view; returns the example they show, or -1."""
        files, count = self.source.files, self.source.num_examples
        assert files is not None
        for i in range(index, index + (count if replace else 1)):
            try:
                image = decoding.open_image(files.load(i % count))
                width, height = image.size
                pairs = zip(self.views, draws, strict=True)
                boxes = [augment_views.box(policy, d.tolist(), height, width, self.size) for policy, d in pairs]
                bounded = [policy.crops_at_random for policy in self.views]
                for crop, view in zip(crops, decoding.crop_views(image, boxes, self.sides, bounded), strict=True):
                    crop[:] = np.asarray(view)
                return i % count
            except Exception as error:  # whatever a broken file makes Pillow raise
                files.skip(i % count, error)
        return -1
