"""Defines the formats of detectors, a SavedModel and an ONNX file, and what is exported."""

import dataclasses
import pathlib
from collections.abc import Callable, Sequence

import keras
import numpy as np
import tensorflow as tf

from simsiam_tf.config.evaluation import ExportFormat
from simsiam_tf.detection import Detector
from simsiam_tf.detection.canvas import on_canvas
from simsiam_tf.detection.masks import paste_masks
from simsiam_tf.files import plain_path
from simsiam_tf.interop import onnx_file
from simsiam_tf.interop.detector_serving import detector_functions, objects_in
from simsiam_tf.interop.float32 import float32_layers, in_float32
from simsiam_tf.interop.saved_model import save_functions

Found = dict[str, np.ndarray]
# What is compared of detections, beside their masks.
COMPARED = ("boxes", "scores", "classes")

DETECTOR_README = """# A detector

{example}

Photos are RGB of one size, [N, H, W, 3] uint8. They are resized inside. Boxes are x1, y1, x2, y2 in pixels of the
photos, the best first. The first `count` rows of each photo are objects, `classes` are positions in classes.json.
"""
_OF_SAVED_MODEL = """    detect = tf.saved_model.load("FOLDER").signatures["serving_default"]
    found = detect(image=photos)  # boxes, scores, classes, count{masks}"""
_OF_ONNX = """    session = onnxruntime.InferenceSession("model.onnx")
    boxes, scores = session.run(["boxes", "scores"], {{"image": photos}})  # also classes, count{masks}"""


@dataclasses.dataclass(frozen=True)
class ExportedDetector:
    """Holds what is exported.

    Attributes:
        detector: the detector, in any precision.
        classes: the names of its classes, by number.
        short_side: the length of an image's shorter side in evaluations, pixels.
        long_side: the length that the longer side has at most, pixels.
        turns: whether photographs in files are turned upright, as their camera noted; `None` leaves out the signature
            that takes files.
    """

    detector: Detector
    classes: Sequence[str]
    short_side: int = 800
    long_side: int = 1333
    turns: bool | None = True

    def in_float32(self) -> "ExportedDetector":
        """Returns the same with a copy of the detector that computes in float32."""
        ours = self.detector
        with float32_layers():
            copy = Detector(in_float32(ours.backbone), ours.num_classes, ours.settings)
        for mine, theirs in zip(layers_of(copy)[1:], layers_of(ours)[1:], strict=True):
            for variable, value in zip(mine.variables, theirs.variables, strict=True):
                variable.assign(value.numpy().astype("float32"))
        return dataclasses.replace(self, detector=copy)

    def find(self, images: np.ndarray) -> Found:
        """Finds the objects in images `[1, H, W, 3] uint8` that need not be resized, as an evaluation does."""
        sizes = tf.constant([images.shape[1:3]])
        found, drawn = tf.function(self.detector.detect, autograph=False)(on_canvas(tf.constant(images), sizes), sizes)
        result = {name: getattr(found, name).numpy() for name in COMPARED}
        if drawn is not None:
            result["masks"] = (paste_masks(drawn[0], found.boxes[0], *images.shape[1:3]) >= 0.5).numpy()[np.newaxis]
        return result


@dataclasses.dataclass(frozen=True)
class DetectorFormat:
    """Describes a format: its folder, its last file, what writes it, what runs it, its README, what it needs."""

    folder: str
    last_file: str
    write: Callable[[ExportedDetector, pathlib.Path], None]
    find: Callable[[pathlib.Path, np.ndarray], Found]
    checked_by: str
    example: str
    needs: tuple[str, ...] = ()


def layers_of(detector: Detector) -> list[keras.layers.Layer]:
    """Returns the layers of a detector, which hold its weights, the backbone first."""
    layers = [detector.backbone, detector.proposal_head, detector.region_norm, detector.box_head, detector.mask_head]
    return [layer for layer in layers if layer is not None]


def _write_saved_model(exported: ExportedDetector, folder: pathlib.Path) -> None:
    functions = detector_functions(exported.detector, exported.short_side, exported.long_side, exported.turns)
    save_functions(functions, layers_of(exported.detector), folder)


def _by_saved_model(folder: pathlib.Path, images: np.ndarray) -> Found:
    found = tf.saved_model.load(str(plain_path(folder))).signatures["serving_default"](image=tf.constant(images))
    return {name: value.numpy() for name, value in found.items()}


def _write_onnx(exported: ExportedDetector, folder: pathlib.Path) -> None:
    sides = exported.short_side, exported.long_side
    onnx_file.write_function(lambda image: objects_in(exported.detector, image, *sides), folder)


DETECTOR_FORMATS: dict[ExportFormat, DetectorFormat] = {
    "savedmodel": DetectorFormat(
        "", "saved_model.pb", _write_saved_model, _by_saved_model, "TensorFlow", _OF_SAVED_MODEL
    ),
    "onnx": DetectorFormat(
        "onnx",
        onnx_file.ONNX_FILE,
        _write_onnx,
        onnx_file.run_onnx,
        "onnxruntime",
        _OF_ONNX,
        needs=onnx_file.ONNX_PACKAGES,
    ),
}
