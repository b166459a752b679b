"""Exports a backbone as a SavedModel that takes images of any size, and as a Keras file."""

import pathlib

import keras
import tensorflow as tf

from simsiam_tf.augment import ops, policies
from simsiam_tf.features.metrics import finite
from simsiam_tf.files import plain_path, replacing_folder


def _centre(images: tf.Tensor, size: int) -> tf.Tensor:
    """Makes the evaluation crop of images of any size: `[N, H, W, 3]` to `[N, size, size, 3]`."""
    batch, height, width = (tf.shape(images)[i] for i in range(3))
    policy = policies.EVALUATION_CROP
    whole = (height == size) & (width == size)
    resize_to = tf.where(whole, size, round(size * policy.centre_resize))
    box = ops.centre_box(height, width, tf.minimum(height, width), size, resize_to)
    box = tf.cast(tf.stack(box), tf.float32)
    return ops.apply_crop(images, tf.tile(box[tf.newaxis], [batch, 1]), size, bounded=False)


def export(backbone: keras.Model, image_size: int, directory: pathlib.Path) -> None:
    """Writes a SavedModel and `backbone.keras` into a new directory.

    The signature `serving_default` of the SavedModel takes `image`, uint8 images `[N, H, W, 3]` of any number and size.
    It resizes, crops and normalises them itself, and returns `features`, `[N, D] float32`. The network in
    `backbone.keras` takes images that are already cropped and normalised.

    Args:
        backbone: the network from normalised images `[B, H, W, 3]` to features `[B, D]`.
        image_size: the side of the images that it was trained on, pixels.
        directory: the path of the new directory.

    Raises:
        FloatingPointError: if a weight is not finite.

    Example:
        export(backbone, 224, pathlib.Path("export"))
        serve = tf.saved_model.load("export").signatures["serving_default"]
        features = serve(image=tf.constant(images))["features"]
    """
    for variable in backbone.variables:
        finite(variable.numpy(), f"weight of {variable.path}")

    @tf.function(input_signature=[tf.TensorSpec((None, None, None, 3), tf.uint8, name="image")], autograph=False)
    def embed(image: tf.Tensor) -> dict[str, tf.Tensor]:
        x = ops.normalize(_centre(image, image_size))
        x = tf.ensure_shape(x, [None, image_size, image_size, 3])
        return {"features": tf.cast(backbone(x, training=False), tf.float32)}

    archive = keras.export.ExportArchive()
    archive.track(backbone)
    archive.add_endpoint("serve", embed)
    with replacing_folder(directory) as draft:
        literal = plain_path(draft)
        archive.write_out(str(literal), verbose=False)
        backbone.save(literal / "backbone.keras")
