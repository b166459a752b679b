"""Writes a backbone in the formats that other programs read, and checks each file after writing it."""

import dataclasses
import logging
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf

from simsiam_tf.augment import ops, policies
from simsiam_tf.config.evaluation import ExportFormat
from simsiam_tf.errors import UsageError
from simsiam_tf.features.metrics import finite
from simsiam_tf.files import adding_to_folder, exists, is_file, plain_path, read_regular, write_text
from simsiam_tf.interop import litert, onnx_file, torch_files, torch_readmes
from simsiam_tf.interop.classifier import Classifier
from simsiam_tf.interop.float32 import float32_layers, in_float32
from simsiam_tf.interop.packages import check_packages
from simsiam_tf.interop.saved_model import SAVED_MODEL_README, write_keras_file, write_saved_model
from simsiam_tf.networks.heads import MLP
from simsiam_tf.networks.resnet import ResNet

_log = logging.getLogger(__name__)

# The greatest difference of features after a format was written and read again, in units of the greatest feature.
_TOLERANCE = 1e-4


@dataclasses.dataclass(frozen=True)
class Exported:
    """Holds what is exported.

    Attributes:
        backbone: the network from normalised images `[B, H, W, 3]` to features `[B, D]`.
        image_size: the side of the images that it was trained on, pixels.
        heads: the method's `projector` and `predictor`, as far as it has them.
        classifier: a linear classifier of the features, if one was trained.
        turns: whether photographs in files are turned upright, as their camera noted; `None` if files need more that
            an export cannot do.
    """

    backbone: keras.Model
    image_size: int
    heads: Mapping[str, MLP] = dataclasses.field(default_factory=dict)
    classifier: Classifier | None = None
    turns: bool | None = True

    def in_float32(self) -> "Exported":
        """Returns the same with a backbone that computes in float32."""
        return dataclasses.replace(self, backbone=in_float32(self.backbone))

    def features(self, network: keras.Model, images: np.ndarray) -> np.ndarray:
        """Computes the features of images, `[N, S, S, 3] uint8` of the size of training, by a network of Keras."""
        return network(ops.normalize(tf.cast(images, tf.float32)), training=False).numpy()


@dataclasses.dataclass(frozen=True)
class Format:
    """Describes a format.

    Attributes:
        folder: the folder below that of the export; empty for the export's own.
        last_file: the file that is written last, without which the format is not there.
        write: writes the files into a folder.
        features_of: computes the features of images, `[N, S, S, 3] uint8`, from the files in a folder.
        checked_by: what computes them, in words.
        how_to: the lines of the README, which show how to load it.
        holds: the networks that fit: any; our ResNets of any width and stem; those that torchvision has, of width 1 and
            with the stem for large images; or a whole SimSiam on a ResNet of ours.
        for_classes: whether it also holds a classifier.
        needs: the packages of requirements-interop.txt that writing and checking it needs.
        also_check: checks more in a folder, given images and the features that the network gives, and says what it
            found; by default nothing.
    """

    folder: str
    last_file: str
    write: Callable[[Exported, pathlib.Path], None]
    features_of: Callable[[Exported, pathlib.Path, np.ndarray], np.ndarray]
    checked_by: str
    how_to: str = ""
    holds: Literal["any", "resnet", "plain", "simsiam"] = "any"
    for_classes: bool = False
    needs: tuple[str, ...] = ()
    also_check: Callable[[pathlib.Path, np.ndarray, np.ndarray], str] = lambda *_: ""


def export(exported: Exported, directory: pathlib.Path, formats: Sequence[ExportFormat]) -> dict[ExportFormat, str]:
    """Writes a network in some formats, each whole or not at all, next to those that are there already.

    What is written computes in float32, whatever the network does.

    Args:
        exported: the network, and what goes with it.
        directory: the path of the folder of the export, which may exist.
        formats: the names of the formats.

    Returns:
        For each format what was done: how it was checked, or that it was there already.

    Raises:
        UsageError: if a format cannot hold the network, or a package for it is missing. Nothing is written then.
        FloatingPointError: if a weight is not finite, or a file gives other features than the network.
    """
    check_formats(exported, formats)
    with float32_layers():
        exported = exported.in_float32()
        return {name: _export_one(exported, directory, FORMATS[name]) for name in formats}


def check_formats(exported: Exported, formats: Sequence[ExportFormat]) -> None:
    """Checks that formats can hold a network, and that their packages are there, before anything is written.

    Args:
        exported: the network, and what goes with it.
        formats: the names of the formats.

    Raises:
        UsageError: if one cannot.
    """
    for name in formats:
        _check_holds(exported, name)
        check_packages(name, FORMATS[name].needs)


def _check_holds(exported: Exported, name: ExportFormat) -> None:
    backbone, holds = exported.backbone, FORMATS[name].holds
    if holds == "any":
        return
    if not isinstance(backbone, ResNet):
        raise UsageError(
            f"--format={name} holds our ResNets; savedmodel, keras, onnx and litert hold any network. "
            f"Received: {backbone.name}."
        )
    if holds == "plain" and (backbone.cifar_stem or backbone.width != 1):
        received = f"width {backbone.width:g}" + (", CIFAR stem" if backbone.cifar_stem else "")
        raise UsageError(
            f"--format={name} holds networks of width 1 with the stem for large images; --format=safetensors holds "
            f"any. Received: {received}."
        )
    if holds == "simsiam" and set(exported.heads) != {"projector", "predictor"}:
        raise UsageError(
            f"--format={name} holds a whole SimSiam, with projector and predictor; --format=torch holds the backbone "
            f"alone. Received: {' and '.join(exported.heads) or 'another method, or none of the two'}."
        )


def _export_one(exported: Exported, directory: pathlib.Path, chosen: Format) -> str:
    folder = directory / chosen.folder if chosen.folder else directory
    if is_file(folder / chosen.last_file):  # nothing is written over
        return _what_is_there(folder / chosen.last_file, chosen.for_classes and exported.classifier is not None)
    _log.info(f"Writing {folder / chosen.last_file}")
    backbone, side = exported.backbone, exported.image_size
    for variable in backbone.variables:
        finite(variable.numpy(), f"weight of {variable.path}")
    images = np.random.default_rng(0).integers(0, 256, (2, side, side, 3), np.uint8)
    expected = exported.features(backbone, images)
    with adding_to_folder(folder, last=chosen.last_file) as draft:
        chosen.write(exported, draft)
        if chosen.how_to and not exists(folder / "README.md"):  # nobody's own is written over
            write_text(draft / "README.md", chosen.how_to.format(**_shown(exported)))
        found = chosen.features_of(exported, draft, images)
        difference = float(np.abs(found - expected).max() / max(np.abs(expected).max(), np.finfo(np.float32).tiny))
        if not difference <= _TOLERANCE:
            raise FloatingPointError(
                f"The export gives features that differ by {difference:.2g} of the greatest one; nothing was kept."
            )
        more = chosen.also_check(draft, images, expected)
    return f"checked by {chosen.checked_by}, features to {difference:.1g}" + (f", {more}" if more else "")


def _shown(exported: Exported) -> dict[str, Any]:
    """Returns what the READMEs show of a network."""
    backbone, side = exported.backbone, exported.image_size
    from_files = '["serving_bytes"](image_bytes=[tf.io.read_file("photo.jpg")])'
    return {
        "arch": getattr(backbone, "arch", ""),
        "image_size": side,
        "resized": round(side * policies.EVALUATION_CROP.centre_resize),
        "fit": torch_readmes.changes(backbone) if isinstance(backbone, ResNet) else "",
        "call": from_files if exported.turns is not None else '["serving_default"](image=photos)',
    }


def _what_is_there(file: pathlib.Path, with_classes: bool) -> str:
    """Says that a format is there already, and if it is from before the classifier that it could hold now."""
    if with_classes and b"classify" not in read_regular(file):
        return "is there already, without class scores; move it away, and the same command writes it with them"
    return "is there already"


def _from_saved_model(_: Exported, folder: pathlib.Path, images: np.ndarray) -> np.ndarray:
    serve = tf.saved_model.load(str(plain_path(folder))).signatures["serving_default"]
    return serve(image=tf.constant(images))["features"].numpy()


def _from_keras(exported: Exported, folder: pathlib.Path, images: np.ndarray) -> np.ndarray:
    return exported.features(keras.saving.load_model(plain_path(folder) / "backbone.keras"), images)


def _for_torch(
    name: str,
    file: str,
    write: Callable[[Exported, pathlib.Path], None],
    how_to: str,
    holds: Literal["resnet", "plain", "simsiam"] = "resnet",
) -> Format:
    """Describes a format whose file is checked by reading it into a new network."""

    def features(exported: Exported, folder: pathlib.Path, images: np.ndarray) -> np.ndarray:
        heads = exported.heads if holds == "simsiam" else None
        return exported.features(torch_files.read_back(exported.backbone, folder / file, heads), images)

    return Format(name, file, write, features, "reading it back", how_to, holds=holds)


FORMATS: dict[ExportFormat, Format] = {
    "savedmodel": Format(
        "",
        "saved_model.pb",
        lambda it, folder: write_saved_model(it.backbone, it.image_size, folder, it.classifier, it.turns),
        _from_saved_model,
        "TensorFlow",
        SAVED_MODEL_README,
        for_classes=True,
    ),
    "keras": Format(
        "", "backbone.keras", lambda it, folder: write_keras_file(it.backbone, folder), _from_keras, "Keras"
    ),
    "onnx": Format(
        "onnx",
        onnx_file.ONNX_FILE,
        lambda it, folder: onnx_file.write_onnx(it.backbone, it.image_size, folder),
        lambda _, folder, images: onnx_file.features_by_onnxruntime(folder, images),
        "onnxruntime",
        onnx_file.ONNX_README,
        needs=onnx_file.ONNX_PACKAGES,
    ),
    "litert": Format(
        "litert",
        litert.LAST_LITERT_FILE,
        lambda it, folder: litert.write_litert(it.backbone, it.image_size, folder),
        lambda _, folder, images: litert.features_by_litert(folder, images),
        litert.RUNTIME,
        litert.LITERT_README,
        also_check=litert.check_litert,
    ),
    "safetensors": _for_torch(
        "safetensors",
        torch_files.SAFETENSORS,
        lambda it, folder: torch_files.write_safetensors(it.backbone, folder),
        torch_readmes.SAFETENSORS,
    ),
    "torch": _for_torch(
        "torch",
        torch_files.PTH,
        lambda it, folder: torch_files.write_torch(it.backbone, folder),
        torch_readmes.TORCH,
    ),
    "release": _for_torch(
        "release",
        torch_files.RELEASE,
        lambda it, folder: torch_files.write_release(it.backbone, it.heads, folder),
        torch_readmes.RELEASE,
        holds="simsiam",
    ),
    "timm": _for_torch(
        "timm",
        torch_files.SAFETENSORS,
        lambda it, folder: torch_files.write_timm(it.backbone, it.image_size, folder),
        torch_readmes.TIMM,
        holds="plain",
    ),
    "detectron2": _for_torch(
        "detectron2",
        torch_files.DETECTRON2,
        lambda it, folder: torch_files.write_detectron2(it.backbone, folder),
        torch_readmes.DETECTRON2,
        holds="plain",
    ),
}
