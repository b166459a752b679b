"""Writes a backbone as a SavedModel that takes images of any size, and as a Keras file."""

import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from simsiam_tf.files import plain_path
from simsiam_tf.interop.classifier import Classifier
from simsiam_tf.interop.serving import serving_functions


def write_saved_model(
    backbone: keras.Model,
    image_size: int,
    folder: pathlib.Path,
    classifier: Classifier | None = None,
    turns: bool | None = True,
) -> None:
    """Writes a SavedModel, which serves images of any number and size, and can be trained further.

    Its signatures take uint8 images `image`, `[N, H, W, 3]`, or the bytes of image files `image_bytes`, `[N] string`.
    They resize, crop and normalise the images themselves.

    - `serving_default`: `image` to `features`, `[N, D] float32`.
    - `serving_bytes`: `image_bytes` to `features` and `ok`, `[N] bool`. What is no image has NaN for its features, and
      its `ok` is false.
    - `feature_maps`: `image`, neither resized nor cropped, to the maps `C2` to `C5` that the stages end with.
    - `classify` and `classify_bytes`, only with a classifier: the same as the first two, and `scores`, the
      probabilities of the classes, `[N, K] float32`, and `names`, their names, `[N, K] string`.

    Args:
        backbone: the network from normalised images `[B, H, W, 3]` to features `[B, D]`.
        image_size: the side of the images that it was trained on, pixels.
        folder: the path of a folder of this machine.
        classifier: the classifier of the features, if there is one.
        turns: whether photographs in files are turned upright, as their camera noted; `None` leaves out the signatures
            that take files.

    Example:
        write_saved_model(backbone, 224, pathlib.Path("export"))
        serve = tf.saved_model.load("export").signatures["serving_default"]
        features = serve(image=tf.constant(images))["features"]
    """
    head = classifier.layer() if classifier else None
    functions = serving_functions(backbone, image_size, head, classifier.names if classifier else (), turns)
    save_functions(functions, [backbone, head] if head else [backbone], folder)


def save_functions(
    functions: dict[str, Callable[..., Any]], layers: Sequence[keras.layers.Layer], folder: pathlib.Path
) -> None:
    """Writes a SavedModel of some functions, with the weights that they use.

    `keras.export.ExportArchive` does so too, but writes each weight twice.

    Args:
        functions: functions made by `tf.function` with an `input_signature`, by the names of their signatures; the
            first is also the `serving_default`.
        layers: the layers whose weights the functions use. In the loaded model they are the lists `variables`,
            `trainable_variables` and `non_trainable_variables`.
        folder: the path of a folder of this machine.
    """
    root = tf.__internal__.tracking.AutoTrackable()
    for kind in ("variables", "trainable_variables", "non_trainable_variables"):
        setattr(root, kind, [variable.value for layer in layers for variable in getattr(layer, kind)])
    for name, function in functions.items():
        setattr(root, name, function)
    default = next(iter(functions.values()))
    tf.saved_model.save(root, str(plain_path(folder)), signatures={**functions, "serving_default": default})


def write_keras_file(backbone: keras.Model, folder: pathlib.Path) -> None:
    """Writes `backbone.keras`, which takes images that are already cropped and normalised.

    Args:
        backbone: the network from normalised images `[B, H, W, 3]` to features `[B, D]`.
        folder: the path of a folder of this machine.
    """
    backbone.save(plain_path(folder) / "backbone.keras")


SAVED_MODEL_README = """# A SavedModel, and the network alone as backbone.keras

    signatures = tf.saved_model.load("FOLDER").signatures
    features = signatures{call}["features"]

serving_default takes photos [N, H, W, 3] uint8 of any size; feature_maps and, after a linear probe, classify too.
"""
