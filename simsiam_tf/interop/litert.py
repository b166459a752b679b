"""Writes a backbone as files of LiteRT (TensorFlow Lite), for telephones and small machines."""

import importlib.util
import math
import pathlib
import tempfile
import warnings
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from simsiam_tf.augment import ops
from simsiam_tf.interop.saved_model import save_functions

# Each file by its precision, with the bytes that a weight takes in it and the least cosine similarity of its features
# to the network's. Over six networks, 1 - cosine was below 1e-6 in float16 and at most 2e-4 in int8
# (docs/results/interop.md); the bounds allow fifty times as much, since those weights were random ones.
_FILES = {"float32": (4, 0.999999), "float16": (2, 0.9999), "int8": (1, 0.99)}
LAST_LITERT_FILE = "model_int8.tflite"
RUNTIME = "ai_edge_litert" if importlib.util.find_spec("ai_edge_litert") else "tf.lite"


def write_litert(backbone: keras.Model, image_size: int, folder: pathlib.Path) -> None:
    """Writes `model_float32.tflite`, `model_float16.tflite` and `model_int8.tflite`.

    Each takes `image`, `[N, image_size, image_size, 3] uint8`, normalises it, and gives `features`, `[N, D] float32`.
    float16 and int8 are the types of the weights. The activations of int8 are quantised in each call by their own
    range, so that no images are needed to find the ranges before.

    Args:
        backbone: the network from normalised images `[B, H, W, 3]` to features `[B, D]`, in float32.
        image_size: the side of the images that it was trained on, pixels.
        folder: the path of a folder of this machine.

    Raises:
        RuntimeError: if TensorFlow made a file without the weights.

    Example:
        write_litert(backbone, 224, pathlib.Path("litert"))
        interpreter = ai_edge_litert.interpreter.Interpreter("litert/model_float32.tflite")
        features = interpreter.get_signature_runner("serving_default")(image=images)["features"]
    """
    spec = tf.TensorSpec((None, image_size, image_size, 3), tf.uint8, name="image")

    @tf.function(input_signature=[spec], autograph=False)
    def embed(image: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"features": backbone(ops.normalize(tf.cast(image, tf.float32)), training=False)}

    # From a function of a Keras model, the converter makes a file without weights, and says nothing.
    # The weights of batch norm go into the convolutions.
    count = sum(math.prod(variable.shape) for variable in backbone.variables if len(variable.shape) > 1)
    with tempfile.TemporaryDirectory(prefix="simsiam_tf-") as saved:
        save_functions({"serve": embed}, [backbone], pathlib.Path(saved))
        for precision, (bytes_per_weight, _) in _FILES.items():
            content = _convert(saved, precision)
            if len(content) < count * bytes_per_weight:
                raise RuntimeError(
                    f"TensorFlow made a LiteRT file without all weights; nothing was kept. Received: {len(content)} "
                    f"bytes for {count} weights in {precision}."
                )
            (folder / f"model_{precision}.tflite").write_bytes(content)


def _convert(saved_model: str, precision: str) -> bytes:
    """Returns the content of a LiteRT file of a SavedModel."""
    converter = tf.lite.TFLiteConverter.from_saved_model(saved_model, signature_keys=["serving_default"])
    if precision != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if precision == "float16":
        converter.target_spec.supported_types = [tf.float16]
    return converter.convert()


def features_by_litert(folder: pathlib.Path, images: np.ndarray) -> np.ndarray:
    """Computes the features of images `[N, S, S, 3] uint8` by the float32 file in a folder: `[N, D] float32`."""
    return run_litert(folder / "model_float32.tflite", images)


def run_litert(file: pathlib.Path, images: np.ndarray) -> np.ndarray:
    """Computes features by a LiteRT file.

    Args:
        file: the path of the file.
        images: images of the file's size, `[N, S, S, 3] uint8`.

    Returns:
        The features, `[N, D] float32`.
    """
    return make_runner(file)(image=images)["features"]


def make_runner(file: pathlib.Path, threads: int | None = None) -> Any:
    """Returns the function of a LiteRT file, from `image` to a dictionary of `features`.

    LiteRT's own package runs it where it is installed, otherwise TensorFlow, which has announced to leave that out.

    Args:
        file: the path of the file.
        threads: the number of threads; by default the runtime chooses.
    """
    if RUNTIME == "ai_edge_litert":
        from ai_edge_litert.interpreter import Interpreter
    else:
        Interpreter = tf.lite.Interpreter
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the announcement
        return Interpreter(str(file), num_threads=threads).get_signature_runner("serving_default")


def check_litert(folder: pathlib.Path, images: np.ndarray, expected: np.ndarray) -> str:
    """Checks the features of all LiteRT files in a folder by their cosine similarity to the network's.

    Args:
        folder: the path of the folder.
        images: images of the files' size, `[N, S, S, 3] uint8`.
        expected: the features that the network gives, `[N, D]`.

    Returns:
        The least similarity of the smaller files, in words.

    Raises:
        FloatingPointError: if a file's features are less similar than its precision explains.
    """
    said = []
    for precision, (_, least) in _FILES.items():
        found = run_litert(folder / f"model_{precision}.tflite", images)
        norms = np.linalg.norm(found, axis=1) * np.linalg.norm(expected, axis=1)
        cosine = float(((found * expected).sum(axis=1) / norms).min())
        if not cosine >= least:
            raise FloatingPointError(
                f"The LiteRT file in {precision} gives features of cosine similarity {cosine:.4g} to the network's, "
                f"below {least}; nothing was kept."
            )
        said += [f"{precision} to a cosine of {cosine:.6f}"] if precision != "float32" else []
    return ", ".join(said)


LITERT_README = """# LiteRT files in float32, float16 and int8

    interpreter = ai_edge_litert.interpreter.Interpreter("model_int8.tflite")
    features = interpreter.get_signature_runner("serving_default")(image=photos)["features"]

Photos are RGB, [N, {image_size}, {image_size}, 3] uint8: the shorter side resized to {resized}, and the centre cut out.
"""
