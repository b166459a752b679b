"""Export: a SavedModel that takes photographs, and the backbone for Keras."""

import pathlib

import keras
import tensorflow as tf

from simsiam_tf.augment import policies


def export(backbone: keras.Model, image_size: int, directory: pathlib.Path) -> None:
    """Writes a SavedModel and `backbone.keras` into a new directory.

    The signature `serving_default` takes uint8 images `[N, H, W, 3]`, any N and any size, and returns
    float32 `features` `[N, D]`: resizing, cropping and normalising are inside.

    Args:
        backbone: normalised images to features.
        image_size: that it was trained at, pixels.
        directory: must not exist yet.
    """

    @tf.function(input_signature=[tf.TensorSpec((None, None, None, 3), tf.uint8, name="image")], autograph=False)
    def embed(image):
        policy = policies.POLICIES["none"]
        keys = tf.zeros([tf.shape(image)[0], 2], tf.uint32)  # the policy draws nothing
        x = policies.finish(policy, policies.crop(policy, image, keys, image_size), keys)
        x = tf.ensure_shape(x, [None, image_size, image_size, 3])
        return {"features": tf.cast(backbone(x, training=False), tf.float32)}

    archive = keras.export.ExportArchive()
    archive.track(backbone)
    archive.add_endpoint("serve", embed)
    archive.write_out(str(directory), verbose=False)
    backbone.save(directory / "backbone.keras")
