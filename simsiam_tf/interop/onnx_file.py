"""Writes a backbone as an ONNX file that takes images of any number and size."""

import logging
import pathlib
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from simsiam_tf.interop.serving import IMAGE, embed_images

ONNX_FILE = "model.onnx"
ONNX_PACKAGES = ("tf2onnx", "onnx", "onnxruntime")
# onnxruntime knows it since 1.12. tf2onnx refuses 19 and later.
_OPSET = 17


def write_onnx(backbone: keras.Model, image_size: int, folder: pathlib.Path) -> None:
    """Writes `model.onnx`, from images `[N, H, W, 3] uint8` to `features`, `[N, D] float32`.

    The images may have any number and size. The file resizes, crops and normalises them itself.

    Args:
        backbone: the network from normalised images `[B, H, W, 3]` to features `[B, D]`, in float32.
        image_size: the side of the images that it was trained on, pixels.
        folder: the path of a folder of this machine.

    Example:
        write_onnx(backbone, 224, pathlib.Path("onnx"))
        session = onnxruntime.InferenceSession("onnx/model.onnx")
        (features,) = session.run(["features"], {"image": images})
    """
    write_function(lambda image: {"features": embed_images(backbone, image, image_size)}, folder)


def write_function(function: Callable[[tf.Tensor], dict[str, tf.Tensor]], folder: pathlib.Path) -> None:
    """Writes `model.onnx`, a function of images.

    Args:
        function: a function of `image`, `[N, H, W, 3] uint8`, whose results have names.
        folder: the path of a folder of this machine.
    """
    import tf2onnx

    logging.getLogger("tf2onnx").setLevel(logging.ERROR)  # it tells of each of its steps

    @tf.function(input_signature=[IMAGE], autograph=False)
    def compute(image: tf.Tensor) -> dict[str, tf.Tensor]:
        return function(image)

    path = str(folder / ONNX_FILE)
    tf2onnx.convert.from_function(compute, input_signature=[IMAGE], opset=_OPSET, output_path=path)


def run_onnx(folder: pathlib.Path, images: np.ndarray) -> dict[str, np.ndarray]:
    """Computes what the file in a folder gives for images `[N, H, W, 3] uint8`, by its names."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(folder / ONNX_FILE), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, {"image": images}), strict=True))


def features_by_onnxruntime(folder: pathlib.Path, images: np.ndarray) -> np.ndarray:
    """Computes the features of images `[N, H, W, 3] uint8` by the file in a folder: `[N, D] float32`."""
    return run_onnx(folder, images)["features"]


ONNX_README = """# An ONNX file of the network

    session = onnxruntime.InferenceSession("model.onnx")
    (features,) = session.run(["features"], {{"image": photos}})

Photos are RGB of one size, [N, H, W, 3] uint8. The file resizes, crops and normalises them itself.
"""
