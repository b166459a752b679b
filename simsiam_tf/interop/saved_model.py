"""Writes a backbone as a SavedModel that takes images of any size, and as a Keras file."""

import pathlib

import keras
import tensorflow as tf

from simsiam_tf.augment import ops, policies
from simsiam_tf.features.metrics import finite
from simsiam_tf.files import plain_path


def _centre(images: tf.Tensor, size: int) -> tf.Tensor:
    """Makes the evaluation crop of images of any size: `[N, H, W, 3]` to `[N, size, size, 3]`."""
    batch, height, width = (tf.shape(images)[i] for i in range(3))
    policy = policies.EVALUATION_CROP
    whole = (height == size) & (width == size)
    resize_to = tf.where(whole, size, round(size * policy.centre_resize))
    box = ops.centre_box(height, width, tf.minimum(height, width), size, resize_to)
    box = tf.cast(tf.stack(box), tf.float32)
    return ops.apply_crop(images, tf.tile(box[tf.newaxis], [batch, 1]), size, bounded=False)


def write_saved_model(backbone: keras.Model, image_size: int, folder: pathlib.Path) -> None:
    """Writes a SavedModel, which serves images of any number and size.

    The signature `serving_default` takes `image`, uint8 images `[N, H, W, 3]`. It resizes, crops and normalises them
    itself, and returns `features`, `[N, D] float32`.

    Args:
        backbone: the network from normalised images `[B, H, W, 3]` to features `[B, D]`.
        image_size: the side of the images that it was trained on, pixels.
        folder: the path of a folder of this machine.

    Raises:
        FloatingPointError: if a weight is not finite.

    Example:
        write_saved_model(backbone, 224, pathlib.Path("export"))
        serve = tf.saved_model.load("export").signatures["serving_default"]
        features = serve(image=tf.constant(images))["features"]
    """
    _check_finite(backbone)

    @tf.function(input_signature=[tf.TensorSpec((None, None, None, 3), tf.uint8, name="image")], autograph=False)
    def embed(image: tf.Tensor) -> dict[str, tf.Tensor]:
        x = ops.normalize(_centre(image, image_size))
        x = tf.ensure_shape(x, [None, image_size, image_size, 3])
        return {"features": tf.cast(backbone(x, training=False), tf.float32)}

    archive = keras.export.ExportArchive()
    archive.track(backbone)
    archive.add_endpoint("serve", embed)
    archive.write_out(str(plain_path(folder)), verbose=False)


def write_keras_file(backbone: keras.Model, _: int, folder: pathlib.Path) -> None:
    """Writes `backbone.keras`, which takes images that are already cropped and normalised.

    Args:
        backbone: the network from normalised images `[B, H, W, 3]` to features `[B, D]`.
        _: the side of the images, which the file does not hold.
        folder: the path of a folder of this machine.

    Raises:
        FloatingPointError: if a weight is not finite.
    """
    _check_finite(backbone)
    backbone.save(plain_path(folder) / "backbone.keras")


def _check_finite(backbone: keras.Model) -> None:
    for variable in backbone.variables:
        finite(variable.numpy(), f"weight of {variable.path}")
