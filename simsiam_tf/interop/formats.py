"""Writes a backbone in the formats that other programs read, and checks each file after writing it."""

import dataclasses
import functools
import importlib.util
import pathlib
from collections.abc import Callable, Sequence

import keras
import numpy as np
import tensorflow as tf
from safetensors import numpy as safetensors

import simsiam_tf
from simsiam_tf.augment import ops, policies
from simsiam_tf.config.evaluation import ExportFormat
from simsiam_tf.errors import UsageError
from simsiam_tf.files import adding_to_folder, is_file, plain_path, read_regular, write_json, write_text
from simsiam_tf.interop import litert, onnx_file
from simsiam_tf.interop.classifier import Classifier
from simsiam_tf.interop.float32 import float32_layers, in_float32
from simsiam_tf.interop.saved_model import SAVED_MODEL_README, write_keras_file, write_saved_model
from simsiam_tf.interop.torch_names import from_torch, to_torch
from simsiam_tf.networks.resnet import ResNet

# The greatest difference of features after a format was written and read again, in units of the greatest feature.
_TOLERANCE = 1e-4
_WEIGHTS = "model.safetensors"


@dataclasses.dataclass(frozen=True)
class Format:
    """Describes a format.

    Attributes:
        folder: the folder below that of the export; empty for the export's own.
        last_file: the file that is written last, without which the format is not there.
        write: writes the files of a backbone for images of a side in pixels into a folder.
        features_of: computes the features of normalised images from the files in a folder, for a side in pixels.
        checked_by: what computes them, in words.
        how_to: the lines of the README, which show how to load it.
        for_plain: whether only a network that torchvision has fits: width 1, and a stem for large images.
        for_classes: whether `write` also takes the classifier of the features, as `classifier`.
        needs: the packages of requirements-interop.txt that writing and checking it needs.
        also_check: checks more in a folder, given images and the features that the network gives, and says what it
            found; by default nothing.
    """

    folder: str
    last_file: str
    write: Callable[..., None]
    features_of: Callable[[keras.Model, int, pathlib.Path, np.ndarray], np.ndarray]
    checked_by: str
    how_to: str = ""
    for_plain: bool = False
    for_classes: bool = False
    needs: tuple[str, ...] = ()
    also_check: Callable[[pathlib.Path, np.ndarray, np.ndarray], str] = lambda *_: ""


def export(
    backbone: keras.Model,
    image_size: int,
    directory: pathlib.Path,
    formats: Sequence[ExportFormat],
    classifier: Classifier | None = None,
) -> dict[ExportFormat, str]:
    """Writes a backbone in some formats, each whole or not at all, next to those that are there already.

    What is written computes in float32, whatever the backbone does.

    Args:
        backbone: the network from normalised images `[B, H, W, 3]` to features `[B, D]`.
        image_size: the side of the images that it was trained on, pixels.
        directory: the path of the folder of the export, which may exist.
        formats: the names of the formats.
        classifier: a linear classifier of the features, for the formats that have class scores.

    Returns:
        For each format what was done: how it was checked, or that it was there already.

    Raises:
        UsageError: if a format cannot hold the network, or a package for it is missing. Nothing is written then.
        FloatingPointError: if a weight is not finite, or a file gives other features than the network.
    """
    check_formats(backbone, formats)
    with float32_layers():
        network = in_float32(backbone)
        return {name: _export_one(network, image_size, directory, FORMATS[name], classifier) for name in formats}


def check_formats(backbone: keras.Model, formats: Sequence[ExportFormat]) -> None:
    """Checks that formats can hold a network, and that their packages are there, before anything is written.

    Args:
        backbone: the network.
        formats: the names of the formats.

    Raises:
        UsageError: if one cannot.
    """
    for name in formats:
        if FORMATS[name].for_plain:
            _check_plain(backbone, name)
        missing = [package for package in FORMATS[name].needs if importlib.util.find_spec(package) is None]
        if missing:
            raise UsageError(
                f"--format={name} needs packages that are not installed; run pip install -r requirements-interop.txt. "
                f"Received: an environment without {' and '.join(missing)}."
            )


def _export_one(
    backbone: keras.Model, image_size: int, directory: pathlib.Path, chosen: Format, classifier: Classifier | None
) -> str:
    folder = directory / chosen.folder if chosen.folder else directory
    if is_file(folder / chosen.last_file):
        return _what_is_there(folder / chosen.last_file, chosen.for_classes and classifier is not None)
    images = np.random.default_rng(0).integers(0, 256, (2, image_size, image_size, 3), np.uint8)
    expected = backbone(ops.normalize(tf.cast(images, tf.float32)), training=False).numpy()
    with adding_to_folder(folder, last=chosen.last_file) as draft:
        write = functools.partial(chosen.write, classifier=classifier) if chosen.for_classes else chosen.write
        write(backbone, image_size, draft)
        if chosen.how_to:
            shown = {"arch": getattr(backbone, "arch", ""), "image_size": image_size}
            resized = round(image_size * policies.EVALUATION_CROP.centre_resize)
            write_text(draft / "README.md", chosen.how_to.format(**shown, resized=resized))
        found = chosen.features_of(backbone, image_size, draft, images)
        difference = float(np.abs(found - expected).max() / max(np.abs(expected).max(), np.finfo(np.float32).tiny))
        if not difference <= _TOLERANCE:
            raise FloatingPointError(
                f"The export gives features that differ by {difference:.2g} of the greatest one; nothing was kept."
            )
        more = chosen.also_check(draft, images, expected)
    return f"checked by {chosen.checked_by}, features to {difference:.1g}" + (f", {more}" if more else "")


def _what_is_there(file: pathlib.Path, with_classes: bool) -> str:
    """Says that a format is there already, and if it is from before the classifier that it could hold now."""
    if with_classes and b"classify_bytes" not in read_regular(file):
        return "is there already, without class scores; move it away, and the same command writes it with them"
    return "is there already"


def _check_plain(backbone: keras.Model, name: str) -> None:
    if not isinstance(backbone, ResNet) or backbone.cifar_stem or backbone.width != 1:
        received = f"width {backbone.width:g}" + (", CIFAR stem" if backbone.cifar_stem else "")
        raise UsageError(
            f"--format={name} holds networks of width 1 with the stem for large images; --format=safetensors holds "
            f"any. Received: {received}."
        )


def _write_safetensors(backbone: keras.Model, _: int, folder: pathlib.Path) -> None:
    metadata = {"format": "pt", "arch": backbone.arch, "made_by": f"simsiam_tf {simsiam_tf.__version__}"}
    (folder / _WEIGHTS).write_bytes(safetensors.save(to_torch(backbone), metadata))


def _write_timm(backbone: keras.Model, image_size: int, folder: pathlib.Path) -> None:
    _write_safetensors(backbone, image_size, folder)
    evaluated = policies.EVALUATION_CROP
    config = {
        "architecture": backbone.arch,
        "num_classes": 0,
        "num_features": backbone.feature_dim,
        "pretrained_cfg": {
            "input_size": [3, image_size, image_size],
            "interpolation": "bilinear",
            "crop_pct": round(1 / evaluated.centre_resize, 4),
            "mean": list(ops.IMAGENET_MEAN),
            "std": list(ops.IMAGENET_STD),
            "num_classes": 0,
            "pool_size": [7, 7],
            "first_conv": "conv1",
            "classifier": "fc",
        },
    }
    write_json(folder / "config.json", config)


def _from_saved_model(_: keras.Model, __: int, folder: pathlib.Path, images: np.ndarray) -> np.ndarray:
    serve = tf.saved_model.load(str(plain_path(folder))).signatures["serving_default"]
    return serve(image=tf.constant(images))["features"].numpy()


def _from_keras(_: keras.Model, __: int, folder: pathlib.Path, images: np.ndarray) -> np.ndarray:
    network = keras.saving.load_model(plain_path(folder) / "backbone.keras")
    return network(ops.normalize(tf.cast(images, tf.float32)), training=False).numpy()


def _from_safetensors(backbone: keras.Model, _: int, folder: pathlib.Path, images: np.ndarray) -> np.ndarray:
    fresh = ResNet(backbone.arch, cifar_stem=backbone.cifar_stem, width=backbone.width)
    from_torch(fresh, safetensors.load((folder / _WEIGHTS).read_bytes()))
    return fresh(ops.normalize(tf.cast(images, tf.float32)), training=False).numpy()


_SAFETENSORS_README = """# Weights under torchvision's names

    from safetensors.torch import load_file
    network = torchvision.models.{arch}()
    network.load_state_dict(load_file("model.safetensors"), strict=False)  # all but fc
    network.fc = torch.nn.Identity()

Images are RGB, from 0 to 1, minus (0.485, 0.456, 0.406), divided by (0.229, 0.224, 0.225).
"""
_TIMM_README = """# A folder of timm, and a repository of the Hub as it stands

    network = timm.create_model("local-dir:FOLDER", pretrained=True)
    preprocess = timm.data.create_transform(**timm.data.resolve_model_data_config(network))
    features = network(preprocess(photo)[None])

With num_classes=10 it is a classifier to be trained, with features_only=True it gives the maps of each stage.
"""
FORMATS: dict[ExportFormat, Format] = {
    "savedmodel": Format(
        "", "saved_model.pb", write_saved_model, _from_saved_model, "TensorFlow", SAVED_MODEL_README, for_classes=True
    ),
    "keras": Format("", "backbone.keras", write_keras_file, _from_keras, "Keras"),
    "safetensors": Format(
        "safetensors", _WEIGHTS, _write_safetensors, _from_safetensors, "reading it back", _SAFETENSORS_README
    ),
    "timm": Format("timm", _WEIGHTS, _write_timm, _from_safetensors, "reading it back", _TIMM_README, for_plain=True),
    "onnx": Format(
        "onnx",
        onnx_file.ONNX_FILE,
        onnx_file.write_onnx,
        onnx_file.features_by_onnxruntime,
        "onnxruntime",
        onnx_file.ONNX_README,
        needs=("tf2onnx", "onnx", "onnxruntime"),
    ),
    "litert": Format(
        "litert",
        litert.LAST_LITERT_FILE,
        litert.write_litert,
        litert.features_by_litert,
        litert.RUNTIME,
        litert.LITERT_README,
        also_check=litert.check_litert,
    ),
}
