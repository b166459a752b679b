"""Recognises whose program wrote a file of weights by the names in it, and gives them names of one kind."""

import dataclasses
import re
from collections.abc import Mapping

import numpy as np

from simsiam_tf.interop.torch_names import COUNT, WeightsError
from simsiam_tf.networks.resnet import DEPTHS

Arrays = Mapping[str, np.ndarray]

# What wrappers of a model put before all names: DataParallel, torch.compile, and Lightning's modules.
_WRAPPERS = ("module.", "_orig_mod.", "model.")
# The classifier that torchvision's and timm's ResNets end with, and that of lightly's ResNet for small images.
_CLASSIFIER = ("fc.weight", "fc.bias", "linear.weight", "linear.bias")
# torchvision's names of the children of its ResNet by their numbers, as in nn.Sequential(*resnet.children()).
_CHILDREN = {"0": "conv1", "1": "bn1", "4": "layer1", "5": "layer2", "6": "layer3", "7": "layer4"}


@dataclasses.dataclass(frozen=True)
class Layout:
    """Describes how a program names weights.

    Attributes:
        name: the name of the program.
        backbone: what the names of the backbone begin with.
        heads: what the names of the projector and the predictor begin with.
        marks: beginnings of which one must be there besides the backbone's.
        method: the method that the program trains; empty if it trains several.
    """

    name: str
    backbone: str
    heads: Mapping[str, str] = dataclasses.field(default_factory=dict)
    marks: tuple[str, ...] = ("",)
    method: str = ""


_SOLO_LEARN = ("projector.", "predictor.", "classifier.weight", "momentum_", "prototypes.")
# Of several that fit, the first is taken.
LAYOUTS = (
    Layout(
        "the authors' SimSiam",
        "encoder.",
        {"projector": "encoder.fc.", "predictor": "predictor."},
        ("encoder.fc.",),
        "simsiam",
    ),
    Layout("MoCo", "encoder_q.", {"projector": "encoder_q.fc."}, method="mocov2"),
    Layout("MoCo v3", "base_encoder.", {"projector": "base_encoder.fc.", "predictor": "predictor."}, method="mocov3"),
    Layout(
        "mmselfsup",
        "backbone.",
        {"projector": "neck.", "predictor": "head.predictor."},
        ("neck.", "head.", "data_preprocessor."),
    ),
    Layout(
        "lightly",
        "backbone.",
        {"projector": "projection_head.", "predictor": "prediction_head."},
        ("projection_head.", "backbone.0."),
    ),
    Layout("solo-learn", "backbone.", {"projector": "projector.", "predictor": "predictor."}, _SOLO_LEARN),
    Layout("solo-learn", "encoder.", {"projector": "projector.", "predictor": "predictor."}, _SOLO_LEARN),
    Layout("another program", "backbone."),
    Layout("another program", "encoder."),
    Layout("torchvision or timm", ""),
)


@dataclasses.dataclass(frozen=True)
class Sorted:
    """Holds the weights of a file, sorted into networks.

    Attributes:
        layout: the name of the program that wrote it.
        method: the method that they were trained by; empty if that is not known.
        backbone: the weights of the backbone by torchvision's names.
        heads: those of `projector` and `predictor`, as far as there are any, by the names of `mlp_weights`.
        left_out: the names of the others.
    """

    layout: str
    method: str
    backbone: dict[str, np.ndarray]
    heads: dict[str, dict[str, np.ndarray]]
    left_out: tuple[str, ...]


def sort_weights(arrays: Arrays) -> Sorted:
    """Sorts the weights of a file into backbone, projector and predictor.

    Args:
        arrays: the weights by the names in the file.

    Raises:
        WeightsError: if the names are of no layout that is known, or the network is one that cannot be had here.

    Example:
        >>> sort_weights({"module.encoder_q.conv1.weight": np.zeros([64, 3, 7, 7])}).layout
        'MoCo'
    """
    named = _unwrapped(arrays)
    for layout in LAYOUTS:
        if _fits(layout, named):
            return _sorted(layout, named)
    first = ", ".join(sorted(arrays)[:3])
    raise WeightsError(
        f"its names are not those of a ResNet of {', '.join(dict.fromkeys(layout.name for layout in LAYOUTS))} "
        f"({len(arrays)} names: {first}{', ...' if len(arrays) > 3 else ''})"
    )


def _unwrapped(arrays: Arrays) -> dict[str, np.ndarray]:
    """Returns the arrays without what wrappers put before every name."""
    named = dict(arrays)
    while named and (wrapper := _common(named)):
        named = {name.removeprefix(wrapper): array for name, array in named.items()}
    return named


def _common(named: Arrays) -> str:
    return next((wrapper for wrapper in _WRAPPERS if all(name.startswith(wrapper) for name in named)), "")


def _fits(layout: Layout, named: Arrays) -> bool:
    if not {f"{layout.backbone}conv1.weight", f"{layout.backbone}0.weight"}.intersection(named):
        return False
    return any(name.startswith(mark) for mark in layout.marks for name in named)


def _sorted(layout: Layout, named: Arrays) -> Sorted:
    heads: dict[str, dict[str, np.ndarray]] = {}
    left_out = []
    backbone: dict[str, np.ndarray] = {}
    for name, array in named.items():
        head = next((head for head, prefix in layout.heads.items() if name.startswith(prefix)), None)
        own = name.removeprefix(layout.backbone)
        if head is not None:
            heads.setdefault(head, {})[name.removeprefix(layout.heads[head])] = array
        elif name.startswith(layout.backbone) and own not in _CLASSIFIER:
            backbone[own] = array
        elif not name.endswith(COUNT):
            left_out.append(name)
    backbone = _with_names_of_children(backbone)
    if layout.name in ("solo-learn", "another program") and backbone["conv1.weight"].shape[2:] == (3, 3):
        raise WeightsError(
            "a network for small images under these names may pad them by 2 pixels, as solo-learn's does, which the "
            "one here cannot compute; if it pads by 1, give the names of its backbone alone, as torchvision's"
        )
    if any(name.startswith(("classifier.0.", "aux_classifier.")) for name in left_out):
        raise WeightsError("it is of a network for segmentation, whose convolutions may be dilated")
    return Sorted(
        layout.name, layout.method, backbone, {h: _as_mlp(found) for h, found in heads.items()}, (*sorted(left_out),)
    )


def _with_names_of_children(backbone: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Gives the layers of a ResNet their names where the file has numbers, and lightly's shortcuts torchvision's."""
    if any(name.startswith("2.0.") for name in backbone):
        raise WeightsError(
            "lightly's ResNet for small images has no ReLU after its first batch norm if it was made a sequence of its "
            "layers, which the one here cannot compute; train it here, or take a network for large images"
        )
    named = {}
    for name, array in backbone.items():
        child, dot, rest = name.partition(".")
        named[_CHILDREN.get(child, child) + dot + re.sub(r"\bshortcut\b", "downsample", rest)] = array
    return named


def _as_mlp(arrays: Arrays) -> dict[str, np.ndarray]:
    """Gives the layers of an MLP the names `dense1`, `bn1`, `dense2` and so on, in their order.

    A layer is dense if its weight is a matrix, and else a batch norm.
    """
    layers: dict[str, dict[str, np.ndarray]] = {}
    for name, array in arrays.items():
        layer, _, part = name.rpartition(".")
        layers.setdefault(layer, {})[part] = array
    named: dict[str, np.ndarray] = {}
    number = 0
    for layer in sorted(layers, key=_place):
        parts = layers[layer]
        is_dense = "weight" in parts and parts["weight"].ndim == 2
        number += is_dense
        named |= {f"{'dense' if is_dense else 'bn'}{number}.{part}": value for part, value in parts.items()}
    return named


def _place(layer: str) -> tuple[int, bool]:
    """Returns the place of a layer: by its number, and a batch norm after the dense layer of its number."""
    digits = re.findall(r"\d+", layer)
    return int(digits[-1]) if digits else 0, "bn" in layer


def describe_backbone(backbone: Arrays) -> tuple[str, float, bool] | None:
    """Finds the ResNet whose weights have these names.

    Args:
        backbone: the weights by torchvision's names.

    Returns:
        The value of --arch, the width, and whether the stem is that for small images; `None` for no ResNet of ours.

    Example:
        >>> from simsiam_tf import resnet18
        >>> from simsiam_tf.interop.torch_names import to_torch
        >>> describe_backbone(to_torch(resnet18(width=0.125)))
        ('resnet18', 0.125, False)
    """
    blocks = {match[0] for match in map(re.compile(r"layer(\d)\.\d+(?=\.)").match, backbone) if match}
    depths = tuple(sum(block.startswith(f"layer{stage}.") for block in blocks) for stage in (1, 2, 3, 4))
    kind = "bottleneck" if "layer1.0.conv3.weight" in backbone else "basic"
    arch = next((arch for arch, of_arch in DEPTHS.items() if of_arch == (kind, depths)), None)
    stem, inner = backbone.get("conv1.weight"), backbone.get("layer1.0.conv2.weight")
    if arch is None or stem is None or stem.ndim != 4 or inner is None:
        return None
    base = stem.shape[0]
    if inner.shape != (base, base, 3, 3) or any(".se." in name or "attn" in name for name in backbone):
        return None  # a wide one, one with groups, and so on
    return arch, base / 64, stem.shape[2] == 3
