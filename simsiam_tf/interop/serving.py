"""Defines the functions that a SavedModel serves, from images or files of images to features and class scores."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from simsiam_tf.augment import ops, policies
from simsiam_tf.interop.orientation import orientation_of, upright
from simsiam_tf.networks import feature_dim

IMAGE = tf.TensorSpec((None, None, None, 3), tf.uint8, name="image")
_IMAGE_BYTES = tf.TensorSpec((None,), tf.string, name="image_bytes")


def serving_functions(
    backbone: keras.Model,
    image_size: int,
    classify: keras.layers.Dense | None = None,
    names: Sequence[str] = (),
    turns: bool | None = True,
) -> dict[str, Callable[..., Any]]:
    """Returns the functions of a SavedModel by the names of their signatures.

    `serve`, which is also the `serving_default`, and `serving_bytes` give the features of images, `feature_maps`
    gives maps if the network has them. `classify` and `classify_bytes` need a classifier.

    Args:
        backbone: the network from normalised images `[B, H, W, 3]` to features `[B, D]`, in float32.
        image_size: the side of the images that it was trained on, pixels.
        classify: the layer from features to class scores; by default there are none.
        names: the names of the classes.
        turns: whether photographs in files are turned upright, as their camera noted; `None` leaves out the functions
            that take files.
    """

    def embed(image: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"features": embed_images(backbone, image, image_size)}

    def embed_bytes(image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
        images, ok = _decode_all(image_bytes, image_size, bool(turns))
        features = backbone(ops.normalize(images), training=False)
        missing = tf.fill([1, feature_dim(backbone)], float("nan"))
        return {"features": tf.where(ok[:, tf.newaxis], features, missing), "ok": ok}

    def feature_maps(image: tf.Tensor) -> dict[str, tf.Tensor]:
        return dict(backbone.feature_maps(ops.normalize(tf.cast(image, tf.float32)), training=False))

    def with_classes(embedded: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        row = tf.constant([[name.encode("utf-8", "surrogateescape") for name in names]])
        rows = tf.tile(row, [tf.shape(embedded["features"])[0], 1])  # servers want a row for each image
        return {**embedded, "scores": classify(embedded["features"]), "names": rows} if classify else embedded

    functions: dict[str, tuple[Callable[..., Any], tf.TensorSpec]] = {"serve": (embed, IMAGE)}
    if turns is not None:
        functions["serving_bytes"] = (embed_bytes, _IMAGE_BYTES)
    if hasattr(backbone, "feature_maps"):
        functions["feature_maps"] = (feature_maps, IMAGE)
    if classify is not None:
        functions["classify"] = (lambda image: with_classes(embed(image)), IMAGE)
        if turns is not None:
            functions["classify_bytes"] = (lambda image_bytes: with_classes(embed_bytes(image_bytes)), _IMAGE_BYTES)
    return {
        name: tf.function(function, input_signature=[spec], autograph=False)
        for name, (function, spec) in functions.items()
    }


def embed_images(backbone: keras.Model, image: tf.Tensor, image_size: int) -> tf.Tensor:
    """Computes the features of images of any size: resizes, crops and normalises them, and applies the network.

    Args:
        backbone: the network from normalised images `[B, H, W, 3]` to features `[B, D]`, in float32.
        image: `[N, H, W, 3] uint8`.
        image_size: the side of the images that the network was trained on, pixels.

    Returns:
        The features, `[N, D] float32`.
    """
    x = tf.ensure_shape(ops.normalize(_centre(image, image_size)), [None, image_size, image_size, 3])
    return backbone(x, training=False)


def _centre(images: tf.Tensor, size: int) -> tf.Tensor:
    """Makes the evaluation crop of images of any size: `[N, H, W, 3]` to `[N, size, size, 3]`."""
    batch, height, width = (tf.shape(images)[i] for i in range(3))
    policy = policies.EVALUATION_CROP
    whole = (height == size) & (width == size)
    resize_to = tf.where(whole, size, round(size * policy.centre_resize))
    box = tf.stack(ops.centre_box(height, width, tf.minimum(height, width), size, resize_to, _ratio))
    return ops.apply_crop(images, tf.tile(box[tf.newaxis], [batch, 1]), size, bounded=False)


def _ratio(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
    """Divides two integers in float32. TensorFlow itself divides them in float64, which LiteRT does not know."""
    return tf.cast(a, tf.float32) / tf.cast(b, tf.float32)


def _decode_all(image_bytes: tf.Tensor, size: int, turns: bool) -> tuple[tf.Tensor, tf.Tensor]:
    """Makes the evaluation crops `[N, size, size, 3]` of files `[N]`, and says which could be decoded, `[N] bool`."""

    def decode_and_crop(data: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        image, ok = _decode(data)
        image = upright(image, orientation_of(data)) if turns else image
        return tf.ensure_shape(_centre(image[tf.newaxis], size)[0], [size, size, 3]), ok

    crops = tf.TensorSpec([size, size, 3], tf.float32), tf.TensorSpec([], tf.bool)
    return tf.map_fn(decode_and_crop, image_bytes, fn_output_signature=crops)


def decode_image(data: tf.Tensor) -> tf.Tensor:
    """Decodes the content of an image file, a string, to `[H, W, 3] uint8`, with the pixels that Pillow decodes.

    Raises:
        tf.errors.InvalidArgumentError: if it is no image that can be decoded.
    """
    return tf.cond(
        tf.io.is_jpeg(data),
        lambda: tf.io.decode_jpeg(data, channels=3, dct_method="INTEGER_ACCURATE"),  # as in Pillow
        lambda: tf.io.decode_image(data, channels=3, expand_animations=False),
    )


def _decode(data: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Decodes the bytes of an image file to `[H, W, 3] uint8` and true, or to a black pixel and false.

    Nothing in a graph catches the error of an op, except a data set that leaves out the elements which raise one.
    """
    decoded = tf.data.Dataset.from_tensors(data).map(lambda one: (decode_image(one), True)).ignore_errors()
    black = tf.data.Dataset.from_tensors((tf.zeros([1, 1, 3], tf.uint8), False))
    image, ok = decoded.concatenate(black).take(1).get_single_element()
    return tf.ensure_shape(image, [None, None, 3]), ok
