"""Makes batches of images with their objects, as a pure function of the seed and the step.

All images of a global batch lie on canvases of one size, which every host computes from the sizes in the annotations.
"""

import dataclasses
import functools
from typing import Any

import numpy as np
import tensorflow as tf

from simsiam_tf.data.objects.annotations import AnnotatedImages
from simsiam_tf.data.objects.canvases import Canvases, canvases_of
from simsiam_tf.data.objects.reading import ObjectReader, Wanted
from simsiam_tf.data.objects.resize import Recipe, drawn_flips, drawn_short_sides, keys_and_draws, resized
from simsiam_tf.data.order import ShuffledOrder
from simsiam_tf.distribute.input import Share

# A batch with masks takes hundreds of megabytes, so no more than these are made ahead.
_AHEAD = 2
_as_it_is = tf.autograph.experimental.do_not_convert


def detection_batches(
    annotated: AnnotatedImages,
    order: ShuffledOrder,
    recipe: Recipe,
    share: Share,
    start_step: int = 0,
    stop_step: int | None = None,
) -> tf.data.Dataset:
    """Makes the batches of a run, from any step on.

    Consecutive elements belong to consecutive replicas, each with its own part of the global batch. An unreadable image
    is replaced by the next one, which is shrunk if the canvas does not hold it.

    Args:
        annotated: the training images, as `AnnotatedImages.to_train` gives them.
        order: the order of the images.
        recipe: how images are resized and flipped.
        share: the part of each global batch that this host reads.
        start_step: the first step. A batch does not depend on the steps before it.
        stop_step: the step after the last; `None` never stops.

    Returns:
        Dictionaries with `images`, `[B, H, W, 3] uint8`, at the top left of canvases that are black elsewhere; `sizes`,
        their heights and widths on them, `[B, 2] int32`; `boxes`, left, top, right and bottom in pixels,
        `[B, G, 4] float32`; `classes`, `[B, G] int32`, -1 where there is no object; `masks`, if the set has them, the
        pixels inside each object as bits along the width, `[B, G, H, W / 8] uint8`, as `numpy.packbits` has them;
        `keys`, `[B, 2] uint32`, for random numbers of the step; and `index`, the positions of the images that the order
        asks for, `[B] int64`. H and W are multiples of 32.
    """
    canvases = canvases_of(recipe, annotated.sizes, recipe.short_sides)
    batches = _Batches(annotated, recipe, canvases, order)
    return batches.of(order.steps(share, start_step, stop_step))


def evaluation_batches(annotated: AnnotatedImages, recipe: Recipe, batch_size: int) -> tf.data.Dataset:
    """Makes batches of all readable images, once each and in their order. The last batch may be smaller.

    Args:
        annotated: the images.
        recipe: how images are resized.
        batch_size: the number of images in a batch.

    Returns:
        Dictionaries with `images`, `sizes` and `index` as for `detection_batches`.
    """
    canvases = canvases_of(recipe, annotated.sizes, (recipe.eval_short_side,))
    reader = ObjectReader(annotated, recipe.long_side, with_objects=False)

    def load(index: np.ndarray) -> tuple[np.ndarray, ...]:
        short = np.full(len(index), recipe.eval_short_side)
        canvas = canvases.holding(resized(annotated.sizes[index], short, recipe.long_side))
        (images, sizes), shown = reader.read(Wanted(index, short, np.zeros(len(index), bool), canvas, replace=False))
        readable = shown >= 0
        return images[readable], sizes[readable], index[readable]

    side = canvases.largest if len(canvases.sizes) == 1 else (None, None)
    shapes = {"images": ([None, *side, 3], tf.uint8), "sizes": ([None, 2], tf.int32), "index": ([None], tf.int64)}

    def read(index: tf.Tensor) -> dict[str, tf.Tensor]:
        found = tf.numpy_function(load, [index], [kind for _, kind in shapes.values()], stateful=False)
        return _shaped(found, shapes)

    dataset = tf.data.Dataset.range(len(annotated)).batch(batch_size)
    dataset = dataset.map(_as_it_is(read), num_parallel_calls=2, deterministic=True)
    return dataset.filter(lambda batch: tf.size(batch["index"]) > 0).prefetch(_AHEAD)


def _shaped(found: Any, shapes: dict[str, tuple[list[int | None], tf.DType]]) -> dict[str, tf.Tensor]:
    pairs = zip(found, shapes.items(), strict=True)
    return {name: tf.ensure_shape(array, shape) for array, (name, (shape, _)) in pairs}


@dataclasses.dataclass(frozen=True)
class _Batches:
    """Makes training batches.

    Attributes:
        annotated: the images.
        recipe: how images are resized and flipped.
        canvases: the sizes that batches may have.
        order: the order of the images.
    """

    annotated: AnnotatedImages
    recipe: Recipe
    canvases: Canvases
    order: ShuffledOrder

    @functools.cached_property
    def reader(self) -> ObjectReader:
        """Returns what reads images with their objects."""
        return ObjectReader(self.annotated, self.recipe.long_side, with_objects=True)

    def of(self, positions: tf.data.Dataset) -> tf.data.Dataset:
        """Makes a batch of each element of a data set of positions, `[B] int64`."""
        # Two batches at a time, so that no core is idle during the last image of a batch.
        dataset = positions.map(_as_it_is(self._batch), num_parallel_calls=2, deterministic=True)
        return dataset.prefetch(_AHEAD)

    def _batch(self, positions: tf.Tensor) -> dict[str, tf.Tensor]:
        size = self.order.global_batch_size
        every = positions[0] // size * size + tf.range(size, dtype=tf.int64)
        epoch, of_step = self.order.examples(every)
        keys, draws = keys_and_draws(self.order.seed, epoch, of_step)
        own = positions % size
        shapes = self._shapes(positions.shape[0])
        kinds = [kind for _, kind in shapes.values()]
        found = tf.numpy_function(self._load, [of_step, draws, own], kinds, stateful=False)
        own.set_shape([positions.shape[0]])
        return {**_shaped(found, shapes), "keys": tf.gather(keys, own), "index": tf.gather(of_step, own)}

    def _shapes(self, length: int | None) -> dict[str, tuple[list[int | None], tf.DType]]:
        height, width = self.canvases.largest if len(self.canvases.sizes) == 1 else (None, None)
        room = self.reader.room
        shapes: dict[str, tuple[list[int | None], tf.DType]] = {
            "images": ([length, height, width, 3], tf.uint8),
            "sizes": ([length, 2], tf.int32),
            "boxes": ([length, room, 4], tf.float32),
            "classes": ([length, room], tf.int32),
        }
        if self.annotated.has_masks:
            shapes["masks"] = ([length, room, height, None if width is None else width // 8], tf.uint8)
        return shapes

    def _load(self, of_step: np.ndarray, draws: np.ndarray, own: np.ndarray) -> tuple[np.ndarray, ...]:
        """Reads the images of one replica's batch.

        Args:
            of_step: the positions of all images of the global batch.
            draws: the draws for each of them, `[global batch, 2]`.
            own: the places among them of those to read, `[B]`.
        """
        short = drawn_short_sides(self.recipe, draws)
        canvas = self.canvases.holding(resized(self.annotated.sizes[of_step], short, self.recipe.long_side))
        flips = drawn_flips(self.recipe, draws)
        arrays, shown = self.reader.read(Wanted(of_step[own], short[own], flips[own], canvas, replace=True))
        readable = shown >= 0  # all are, until the run has ended
        return tuple(arrays) if readable.all() else tuple(array[readable] for array in arrays)
