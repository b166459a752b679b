"""Cuts the parts that views show out of images: on the host, or on the device from whole images.

Both ways have the same interface. `Crops` cuts on the host, and a batch holds the finished crops of each view.
`Canvases` leaves images of moderate size whole, and a batch holds each on a canvas, with the box of each view.
"""

import abc
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from PIL import Image

from simsiam_tf.augment import views as augment_views
from simsiam_tf.augment.policies import Policy
from simsiam_tf.config.pixels import Pixels
from simsiam_tf.data import decoding
from simsiam_tf.data.pixels import to_rgb, upright_size

# The uniform numbers of each view's crop, for one image.
Draws = Sequence[Sequence[float]]
# A canvas is about so many times as wide as a view: 512 pixels for 224, which hold most images of ImageNet.
_CANVAS, _STEP = 2.25, 128


class Cutter(abc.ABC):
    """Fills the arrays of a batch, image by image, and makes the images and parameters of the batch from them.

    Args:
        views: a policy for each view.
        image_size: the image size of the run, in pixels.
    """

    def __init__(self, views: tuple[Policy, ...], image_size: int) -> None:
        self.views, self.image_size = views, image_size
        self.sides = [policy.side(image_size) for policy in views]
        self._bounded = [policy.crops_at_random for policy in views]

    @property
    @abc.abstractmethod
    def shapes(self) -> list[tuple[tuple[int, ...], np.dtype]]:
        """Returns the shape and type of what each array holds for one image."""

    @abc.abstractmethod
    def fill(self, arrays: Sequence[np.ndarray], image: Image.Image, draws: Draws, pixels: Pixels) -> None:
        """Decodes an image, and fills in its place in each array.

        Args:
            arrays: the place of the image in each array, with the shapes of `shapes`.
            image: an image from `open_image`, not decoded yet.
            draws: the uniform numbers of each view's crop.
            pixels: the meaning of the pixels.

        Raises:
            Exception: any error of Pillow, for a broken image.
        """

    def boxes_by_ops(self, draws: Sequence[tf.Tensor], height: tf.Tensor, width: tf.Tensor) -> tf.Tensor:
        """Computes the box of each view for a batch of images.

        Args:
            draws: the uniform numbers of each view's crop, `[B, n]` each.
            height: the height of each image in pixels, `[B]`.
            width: the width of each image in pixels, `[B]`.

        Returns:
            `[B, V, 4] float32`.
        """
        pairs = zip(self.views, draws, strict=True)
        return tf.stack([augment_views.boxes(policy, d, height, width, self.image_size) for policy, d in pairs], axis=1)

    @abc.abstractmethod
    def by_ops(self, encoded: tf.Tensor, boxes: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """Does the work of `fill` by TensorFlow ops, for a plain JPEG.

        The pixels are those of Pillow to within one level. JPEGs are decoded to the same pixels.

        Args:
            encoded: the content of a JPEG file, a scalar string.
            boxes: the box of each view, `[V, 4]`.

        Returns:
            What each array holds for the image, with the shapes of `shapes`.
        """

    @abc.abstractmethod
    def batch(self, arrays: Sequence[tf.Tensor], parameters: tuple[Any, ...]) -> dict[str, Any]:
        """Returns `images` and `parameters` of a batch, as `make_views` takes them.

        Args:
            arrays: the filled arrays, `[B, ...]`.
            parameters: the parameters of each view, all but those of its crop.
        """

    def empty(self, count: int) -> list[np.ndarray]:
        """Allocates the arrays of a batch of so many images."""
        return [
            decoding.empty_images((count, *shape)) if kind == np.uint8 else np.empty((count, *shape), kind)
            for shape, kind in self.shapes
        ]

    def _boxes(self, size: tuple[int, int], draws: Draws) -> list[Any]:
        """Returns the box of each view in an image of a width and height."""
        width, height = size
        pairs = zip(self.views, draws, strict=True)
        return [augment_views.box(policy, of_it, height, width, self.image_size) for policy, of_it in pairs]

    def _crops_by_ops(self, image: tf.Tensor, boxes: tf.Tensor) -> list[tf.Tensor]:
        """Returns the crop of each view, `[side, side, 3] uint8`, of an image `[H, W, 3] uint8`."""
        crops = []
        for box, side, cuts_first in zip(tf.unstack(boxes), self.sides, self._bounded, strict=True):
            part, start = image, box[:2]
            if cuts_first:
                top, left, height, width = tf.unstack(tf.cast(box, tf.int32))
                part, start = image[top : top + height, left : left + width], tf.zeros([2])
            scale = side / box[2:]
            resized = tf.raw_ops.ScaleAndTranslate(
                images=part[tf.newaxis],
                size=[side, side],
                scale=scale,
                translation=-start * scale,
                kernel_type="triangle",
                antialias=True,
            )[0]
            crops.append(tf.cast(tf.round(tf.clip_by_value(resized, 0.0, 255.0)), tf.uint8))
        return crops

    def _crops(self, image: Image.Image, boxes: list[Any], pixels: Pixels) -> list[Image.Image]:
        return decoding.crop_views(image, boxes, self.sides, self._bounded, pixels)


def _decode(encoded: tf.Tensor) -> tf.Tensor:
    """Decodes a JPEG to the pixels of Pillow, `[H, W, 3] uint8`. The faster default of TensorFlow differs from them."""
    return tf.io.decode_jpeg(encoded, channels=3, dct_method="INTEGER_ACCURATE")


def _layout(sides: Sequence[int]) -> tuple[int, list[tuple[int, int]]]:
    """Returns the side of a canvas on which squares fit beside each other, and the top and left of each square."""
    canvas = -(-math.ceil(_CANVAS * max(sides)) // _STEP) * _STEP
    while True:
        places, top, left, height = [], 0, 0, 0
        for side in sides:
            if left + side > canvas:  # the row is full
                top, left, height = top + height, 0, 0
            places.append((top, left))
            left, height = left + side, max(height, side)
        if top + height <= canvas:
            return canvas, places
        canvas += _STEP


class Crops(Cutter):
    """Cuts on the host: an array `[B, side, side, 3] uint8` for each view."""

    @property
    def shapes(self) -> list[tuple[tuple[int, ...], np.dtype]]:
        """Returns the shape of each view's crop."""
        return [((side, side, 3), np.dtype(np.uint8)) for side in self.sides]

    def fill(self, arrays: Sequence[np.ndarray], image: Image.Image, draws: Draws, pixels: Pixels) -> None:
        """Decodes an image, and fills in the crop of each view."""
        cropped = self._crops(image, self._boxes(upright_size(image, pixels), draws), pixels)
        for crop, view in zip(arrays, cropped, strict=True):
            crop[:] = np.asarray(view)

    def by_ops(self, encoded: tf.Tensor, boxes: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """Decodes a JPEG, and returns the crop of each view."""
        return tuple(self._crops_by_ops(_decode(encoded), boxes))

    def batch(self, arrays: Sequence[tf.Tensor], parameters: tuple[Any, ...]) -> dict[str, Any]:
        """Returns the crops of each view, and parameters without boxes."""
        return {"images": tuple(arrays), "parameters": parameters}


class Canvases(Cutter):
    """Leaves images whole for the device to crop: canvases `[B, C, C, 3] uint8`, and boxes `[B, V, 4] float32`.

    What does not fit on a canvas is cut on the host. The finished crops then lie beside each other on the canvas, and
    their boxes show them as they are. This is so for large images, and for all if a view's crop is not random.
    """

    def __init__(self, views: tuple[Policy, ...], image_size: int) -> None:
        super().__init__(views, image_size)
        self.canvas, self._tiles = _layout(self.sides)

    @property
    def shapes(self) -> list[tuple[tuple[int, ...], np.dtype]]:
        """Returns the shape of a canvas and of the boxes on it."""
        canvas = (self.canvas, self.canvas, 3), np.dtype(np.uint8)
        return [canvas, ((len(self.views), 4), np.dtype(np.float32))]

    def fill(self, arrays: Sequence[np.ndarray], image: Image.Image, draws: Draws, pixels: Pixels) -> None:
        """Decodes an image, and fills in its canvas and its boxes."""
        (canvas, boxes), size = arrays, upright_size(image, pixels)
        of_views = self._boxes(size, draws)
        if all(self._bounded) and max(size) <= self.canvas:
            with decoding.room.for_pixels(image.width * image.height):
                canvas[: size[1], : size[0]] = np.asarray(to_rgb(image, pixels))
            boxes[:] = of_views
            return
        crops = self._crops(image, of_views, pixels)
        for i, (crop, side, (top, left)) in enumerate(zip(crops, self.sides, self._tiles, strict=True)):
            canvas[top : top + side, left : left + side] = np.asarray(crop)
            boxes[i] = top, left, side, side

    def by_ops(self, encoded: tf.Tensor, boxes: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """Decodes a JPEG, and returns its canvas and its boxes."""
        image = _decode(encoded)

        def whole() -> tuple[tf.Tensor, tf.Tensor]:
            return self._padded(image, 0, 0), boxes

        def tiled() -> tuple[tf.Tensor, tf.Tensor]:
            crops = zip(self._crops_by_ops(image, boxes), self._tiles, strict=True)
            canvas = tf.add_n([self._padded(crop, top, left) for crop, (top, left) in crops])
            finished = [(*place, side, side) for place, side in zip(self._tiles, self.sides, strict=True)]
            return canvas, tf.constant(finished, tf.float32)

        if not all(self._bounded):
            return tiled()
        return tf.cond(tf.reduce_max(tf.shape(image)) <= self.canvas, whole, tiled)

    def _padded(self, image: tf.Tensor, top: int, left: int) -> tf.Tensor:
        """Returns a canvas with an image at a place, and 0 around it."""
        height, width, _ = tf.unstack(tf.shape(image))
        below, right = self.canvas - height - top, self.canvas - width - left
        rows = tf.reshape(image, [height, 3 * width])  # two dimensions are padded twice as fast as three
        return tf.reshape(tf.pad(rows, [[top, below], [3 * left, 3 * right]]), [self.canvas, self.canvas, 3])

    def batch(self, arrays: Sequence[tf.Tensor], parameters: tuple[Any, ...]) -> dict[str, Any]:
        """Returns the canvases, which all views share, and parameters with the box of each view."""
        canvases, boxes = arrays
        with_boxes = tuple({**of_view, "box": boxes[:, i]} for i, of_view in enumerate(parameters))
        return {"images": (canvases,), "parameters": with_boxes}
