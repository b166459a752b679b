"""Defines the functions that the export of a detector serves, from images of any size to objects in their pixels."""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from simsiam_tf.detection import Detector
from simsiam_tf.detection.canvas import on_canvas
from simsiam_tf.detection.detections import rescale
from simsiam_tf.detection.masks import paste_masks
from simsiam_tf.interop.orientation import orientation_of, upright
from simsiam_tf.interop.serving import IMAGE, decode_image

_ONE_FILE = tf.TensorSpec((1,), tf.string, name="image_bytes")


def detector_functions(
    detector: Detector, short_side: int, long_side: int, turns: bool | None = True
) -> dict[str, Callable[..., Any]]:
    """Returns the functions of a SavedModel by the names of their signatures.

    `serve`, which is also the `serving_default`, finds the objects in images, `serving_bytes` those in one file.

    Args:
        detector: the detector, in float32.
        short_side: the length of an image's shorter side that the detector sees, pixels.
        long_side: the length that the longer side has at most, pixels.
        turns: whether photographs in files are turned upright, as their camera noted; `None` leaves out the function
            that takes files.
    """

    @tf.function(input_signature=[IMAGE], autograph=False)
    def find(image: tf.Tensor) -> dict[str, tf.Tensor]:
        return objects_in(detector, image, short_side, long_side)

    @tf.function(input_signature=[_ONE_FILE], autograph=False)
    def find_in_file(image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
        image = decode_image(image_bytes[0])
        image = upright(image, orientation_of(image_bytes[0])) if turns else image
        return find(tf.ensure_shape(image, [None, None, 3])[tf.newaxis])

    return {"serve": find} if turns is None else {"serve": find, "serving_bytes": find_in_file}


def objects_in(detector: Detector, images: tf.Tensor, short_side: int, long_side: int) -> dict[str, tf.Tensor]:
    """Finds the objects in images of any size, one image after the other, as an evaluation does.

    The memory therefore does not grow with the number of images, but for the masks. Only the resizing differs from that
    of an evaluation, by Pillow: here and there by one level.

    Args:
        detector: the detector, in float32.
        images: `[B, H, W, 3] uint8`.
        short_side: the length of the shorter side that the detector sees, pixels.
        long_side: the length that the longer side has at most, pixels.

    Returns:
        `boxes`, `[B, D, 4] float32`, in pixels of the images as given; `scores`, `[B, D] float32`; `classes`,
        `[B, D] int32`, -1 where there is no object; `count`, `[B] int32`, the number of objects, which come first; and
        `masks`, `[B, D, H, W] bool`, if the detector has masks.
    """
    count = tf.shape(images)[0]
    # A loop without rounds could not tell the size of the masks that it did not make.
    some = tf.pad(images, [[0, tf.cast(tf.equal(count, 0), tf.int32)], [0, 0], [0, 0], [0, 0]])
    most = detector.settings.detections_per_image
    kinds = {
        "boxes": tf.TensorSpec([most, 4], tf.float32),
        "scores": tf.TensorSpec([most], tf.float32),
        "classes": tf.TensorSpec([most], tf.int32),
        "count": tf.TensorSpec([], tf.int32),
    }
    if detector.mask_head is not None:
        kinds["masks"] = tf.TensorSpec([most, None, None], tf.bool)
    found = tf.map_fn(
        lambda image: _objects_in_one(detector, image, short_side, long_side),
        some,
        fn_output_signature=kinds,
        parallel_iterations=1,
    )
    return {name: value[:count] for name, value in found.items()}


def _objects_in_one(detector: Detector, image: tf.Tensor, short_side: int, long_side: int) -> dict[str, tf.Tensor]:
    """Finds the objects in an image `[H, W, 3] uint8`; what `objects_in` returns, for one image."""
    size = tf.shape(image)[:2]
    seen = _seen_size(size, short_side, long_side)
    sizes = seen[tf.newaxis]
    found, drawn = detector.detect(on_canvas(resize(image, seen)[tf.newaxis], sizes), sizes)
    boxes = rescale(tf.cast(found.boxes, tf.float64), sizes, size[tf.newaxis])[0]  # as an evaluation does
    there = (found.classes[0] >= 0) & tf.reduce_all(boxes[:, 2:] > boxes[:, :2], axis=-1)
    order = tf.argsort(tf.where(there, 0, 1), stable=True)  # a box without an area is no object
    there, boxes = tf.gather(there, order), tf.cast(tf.gather(boxes, order), tf.float32)
    result = {
        "boxes": tf.where(there[:, tf.newaxis], boxes, 0.0),
        "scores": tf.where(there, tf.gather(found.scores[0], order), 0.0),
        "classes": tf.where(there, tf.gather(found.classes[0], order), -1),
        "count": tf.reduce_sum(tf.cast(there, tf.int32)),
    }
    if drawn is None:
        return result

    def paste(of_one: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
        probabilities, box = of_one
        return paste_masks(probabilities[tf.newaxis], box[tf.newaxis], size[0], size[1])[0] >= 0.5

    # One after the other: the probabilities of all masks in a large photograph would take gigabytes.
    each = tf.gather(drawn[0], order), result["boxes"]
    masks = tf.map_fn(paste, each, fn_output_signature=tf.TensorSpec([None, None], tf.bool), parallel_iterations=1)
    return {**result, "masks": masks}


def _seen_size(size: tf.Tensor, short_side: int, long_side: int) -> tf.Tensor:
    """Computes the size `[2]` that an image of a size `[2]` is resized to, as `data.objects.resize.resized` does."""
    lengths = tf.cast(size, tf.float64)
    scale = tf.minimum(short_side / tf.reduce_min(lengths), long_side / tf.reduce_max(lengths))
    return tf.maximum(tf.cast(lengths * scale + 0.5, tf.int32), 1)


def resize(image: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    """Resizes an image with Pillow's antialiased bilinear filter, as two matrix products, and rounds as Pillow does.

    `tf.image.resize` has no counterpart in ONNX.

    Args:
        image: `[H, W, C] uint8`.
        size: the new height and width, `[2] int32`.

    Returns:
        `[height, width, C] uint8`. Where Pillow's whole numbers round the other way, a level differs by 1.
    """
    x = tf.cast(image, tf.float32)
    x = tf.einsum("nw,hwc->hnc", _reading_weights(tf.shape(x)[1], size[1]), x)
    x = tf.floor(x + 0.5)  # Pillow keeps whole levels between the two products
    x = tf.einsum("nh,hwc->nwc", _reading_weights(tf.shape(x)[0], size[0]), x)
    return tf.ensure_shape(tf.cast(tf.floor(x + 0.5), tf.uint8), [None, None, image.shape[-1]])


def _reading_weights(length: tf.Tensor, new_length: tf.Tensor) -> tf.Tensor:
    """Computes how much of each pixel of an axis each new pixel reads, `[new_length, length] float32`."""
    old, new = tf.cast(length, tf.float64), tf.cast(new_length, tf.float64)
    scale = old / new
    support = tf.maximum(scale, 1.0)
    centres = (tf.range(new, dtype=tf.float64) + 0.5) * scale
    distances = tf.range(old, dtype=tf.float64) + 0.5 - centres[:, tf.newaxis]
    weights = tf.maximum(tf.constant(0.0, tf.float64), 1.0 - tf.abs(distances) / support)
    return tf.cast(weights / tf.reduce_sum(weights, axis=-1, keepdims=True), tf.float32)
