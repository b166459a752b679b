"""What the targets of weights have in common: a tiny network, its names in each layout, and checks of what was read."""

import pathlib
import struct
from typing import Any

import numpy as np

from tests.fuzz.target import WrongError

LAYOUTS = ("torchvision", "authors", "moco", "lightly", "solo_learn")


def arrays_of_a_network() -> dict[str, np.ndarray]:
    """Returns the weights of a ResNet-18 of width 1/16 under torchvision's names."""
    from simsiam_tf.interop.torch_names import to_torch
    from simsiam_tf.networks import resnet18

    return {name: np.asarray(array) for name, array in to_torch(resnet18(width=0.0625)).items()}


def in_layout(arrays: dict[str, np.ndarray], layout: str) -> dict[str, np.ndarray]:
    """Returns weights with the names of a program, with those of a head beside them."""
    head = {"0.weight": np.ones((16, 32), np.float32), "1.weight": np.ones(16, np.float32)}
    backbone, heads = {
        "torchvision": ("", "fc."),
        "authors": ("module.encoder.", "module.encoder.fc."),
        "moco": ("module.encoder_q.", "module.encoder_q.fc."),
        "lightly": ("backbone.", "projection_head."),
        "solo_learn": ("backbone.", "projector."),
    }[layout]
    return {f"{backbone}{name}": array for name, array in arrays.items()} | {
        f"{heads}{name}": array for name, array in head.items()
    }


def check_given(given: Any, whole: dict[str, np.ndarray] | None) -> str:
    """Touches every number that was read, and compares a whole file's with the network's; returns the class."""
    from simsiam_tf.interop.layouts import describe_backbone

    for arrays in (given.backbone, *given.heads.values()):
        for array in arrays.values():
            np.asarray(array).astype(np.float64).sum()
    found = describe_backbone(given.backbone)
    if whole is not None:
        same = all(np.array_equal(given.backbone.get(name), array) for name, array in whole.items() if array.ndim)
        if not same or found is None:
            raise WrongError("the weights of a whole file differ")
    return "read, a ResNet" if found else "read, no ResNet"


def open_and_check(path: pathlib.Path, whole: dict[str, np.ndarray] | None = None) -> str:
    """Opens weights as --init_weights does, looks at their settings, and assigns them to a network."""
    from simsiam_tf.errors import UsageError
    from simsiam_tf.training.given_weights import network_flags, open_given

    given = open_given(str(path))
    kind = check_given(given, whole)
    try:
        network_flags(given)
    except UsageError:
        return f"{kind}, without flags"
    return kind


def safetensors_bytes(header: bytes, numbers: bytes) -> bytes:
    """Returns a file of safetensors with any header."""
    return struct.pack("<Q", len(header)) + header + numbers
