"""Writes weights in the files that programs of PyTorch open, and reads them back to check them."""

import io
import pathlib
import pickle
import re
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from safetensors import numpy as safetensors

import simsiam_tf
from simsiam_tf.augment import ops, policies
from simsiam_tf.files import read_regular, write_json
from simsiam_tf.interop.given import read_weights
from simsiam_tf.interop.harmless_pickle import HarmlessUnpickler
from simsiam_tf.interop.pth_writing import pth_bytes
from simsiam_tf.interop.torch_names import COUNT, as_torch, from_torch, mlp_weights, to_torch
from simsiam_tf.networks.heads import MLP
from simsiam_tf.networks.resnet import ResNet

SAFETENSORS, PTH, RELEASE, DETECTRON2 = "model.safetensors", "network.pth", "checkpoint.pth.tar", "network.pkl"


def write_safetensors(backbone: ResNet, folder: pathlib.Path) -> None:
    """Writes `model.safetensors`, the weights of a backbone under torchvision's names.

    Args:
        backbone: a ResNet.
        folder: the path of a folder of this machine.
    """
    metadata = {"format": "pt", "arch": backbone.arch, "made_by": f"simsiam_tf {simsiam_tf.__version__}"}
    (folder / SAFETENSORS).write_bytes(safetensors.save(to_torch(backbone), metadata))


def write_timm(backbone: ResNet, image_size: int, folder: pathlib.Path) -> None:
    """Writes `model.safetensors` and `config.json`, a folder of timm and a repository of the Hub.

    Args:
        backbone: a ResNet of width 1 with the stem for large images.
        image_size: the side of the images that it was trained on, pixels.
        folder: the path of a folder of this machine.
    """
    write_safetensors(backbone, folder)
    config = {
        "architecture": backbone.arch,
        "num_classes": 0,
        "num_features": backbone.feature_dim,
        "pretrained_cfg": {
            "input_size": [3, image_size, image_size],
            "interpolation": "bilinear",
            "crop_pct": round(1 / policies.EVALUATION_CROP.centre_resize, 4),
            "mean": list(ops.IMAGENET_MEAN),
            "std": list(ops.IMAGENET_STD),
            "num_classes": 0,
            "pool_size": [7, 7],
            "first_conv": "conv1",
            "classifier": "fc",
        },
    }
    write_json(folder / "config.json", config)


def write_torch(backbone: ResNet, folder: pathlib.Path) -> None:
    """Writes `network.pth`, the weights of a backbone under torchvision's names.

    Args:
        backbone: a ResNet.
        folder: the path of a folder of this machine.
    """
    (folder / PTH).write_bytes(pth_bytes(to_torch(backbone)))


def write_release(backbone: ResNet, heads: Mapping[str, MLP], folder: pathlib.Path) -> None:
    """Writes `checkpoint.pth.tar`, a whole SimSiam as the authors' programs name its weights.

    Args:
        backbone: a ResNet.
        heads: `projector` and `predictor`.
        folder: the path of a folder of this machine.
    """
    weights = {f"encoder.{name}": array for name, array in to_torch(backbone).items()}
    for head, name in (("projector", "encoder.fc."), ("predictor", "predictor.")):
        weights |= {name + own: array for own, array in _as_sequential(heads[head]).items()}
    state = {f"module.{name}": array for name, array in weights.items()}
    (folder / RELEASE).write_bytes(pth_bytes({"arch": backbone.arch, "epoch": 0, "state_dict": state}))


def _as_sequential(mlp: MLP) -> dict[str, np.ndarray]:
    """Returns the weights of an MLP by the numbers of its layers, of which a ReLU is one."""
    places: dict[str, int] = {}
    at = 0
    for number, norm in enumerate(mlp.norm, start=1):
        places |= {f"dense{number}": at, f"bn{number}": at + 1}
        at += 2 if norm is None else 3  # with the ReLU
    named = {}
    for name, array in as_torch(mlp_weights(mlp)).items():
        layer, _, part = name.partition(".")
        named[f"{places[layer]}.{part}"] = array
    return named


def write_detectron2(backbone: ResNet, folder: pathlib.Path) -> None:
    """Writes `network.pkl`, which detectron2 takes as `MODEL.WEIGHTS` of R50-C4 and others with this backbone.

    Args:
        backbone: a ResNet of width 1 with the stem for large images.
        folder: the path of a folder of this machine.
    """
    weights = {to_detectron2(name): array for name, array in to_torch(backbone).items() if not name.endswith(COUNT)}
    content = io.BytesIO()
    # Without an author, detectron2 would take the file for Caffe2's, and leave the statistics of batch norm out.
    tree = {"model": weights, "__author__": f"simsiam_tf {simsiam_tf.__version__}", "matching_heuristics": True}
    _Pickler(content, protocol=4).dump(tree)
    (folder / DETECTRON2).write_bytes(content.getvalue())


def to_detectron2(name: str) -> str:
    """Returns detectron2's name of a weight, given torchvision's.

    Example:
        >>> to_detectron2("layer1.0.bn2.running_mean"), to_detectron2("conv1.weight")
        ('res2.0.conv2.norm.running_mean', 'stem.conv1.weight')
    """
    name = re.sub(r"^layer(\d)", lambda match: f"res{int(match[1]) + 1}", name)
    name = re.sub(r"\bbn(\d)", r"conv\1.norm", name)
    name = name.replace("downsample.0", "shortcut").replace("downsample.1", "shortcut.norm")
    return name if name.startswith("res") else f"stem.{name}"


class _Pickler(pickle.Pickler):
    """Pickles arrays so that every NumPy reads them; what NumPy 2 writes itself, NumPy 1 cannot read."""

    def reducer_override(self, value: Any) -> Any:
        """Returns the call that makes an array from its shape, type and bytes."""
        if isinstance(value, np.ndarray):
            return np.ndarray, (value.shape, value.dtype.str, bytearray(np.ascontiguousarray(value).tobytes()))
        return NotImplemented


def read_back(backbone: ResNet, path: pathlib.Path, heads: Mapping[str, MLP] | None = None) -> keras.Model:
    """Reads weights into a new network, as any reader of the file would.

    Args:
        backbone: the network that was written.
        path: the file.
        heads: the projector and the predictor that were written, which the file must hold to the bit; by default none.

    Returns:
        A backbone with the weights of the file.

    Raises:
        FloatingPointError: if the file holds other heads.
        UsageError: if it does not hold the weights of such a backbone.
    """
    fresh = ResNet(backbone.arch, cifar_stem=backbone.cifar_stem, width=backbone.width)
    if path.name == DETECTRON2:
        from_torch(fresh, read_detectron2(path, backbone))
        return fresh
    given = read_weights(path)
    given.assign_to_backbone(fresh)
    for name, head in (heads or {}).items():
        written = as_torch(mlp_weights(head))
        if any(not np.array_equal(given.heads[name][own.name], written[own.name]) for own in mlp_weights(head)):
            raise FloatingPointError(f"The export gives another {name} than the network's; nothing was kept.")
    return fresh


def _array(shape: tuple[int, ...], kind: str, content: bytes) -> np.ndarray:
    return np.frombuffer(content, kind).reshape(shape)


def read_detectron2(path: pathlib.Path, backbone: ResNet) -> dict[str, np.ndarray]:
    """Reads back what `write_detectron2` wrote.

    Args:
        path: the file.
        backbone: a network of the same shape, whose names are looked for.

    Returns:
        The arrays by torchvision's names.
    """
    known = {("numpy", "ndarray"): _array, ("builtins", "bytearray"): bytes}
    held = HarmlessUnpickler(io.BytesIO(read_regular(path)), known, storage=lambda _: None).load()["model"]
    names = [name for name in to_torch(backbone) if not name.endswith(COUNT)]
    return {name: held[to_detectron2(name)] for name in names}
