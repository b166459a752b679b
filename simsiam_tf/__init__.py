"""SimSiam (Chen & He, arXiv 2011.10566) in TensorFlow and Keras."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from simsiam_tf.methods import BYOL as BYOL
    from simsiam_tf.methods import BarlowTwins as BarlowTwins
    from simsiam_tf.methods import MoCoV2 as MoCoV2
    from simsiam_tf.methods import SimCLR as SimCLR
    from simsiam_tf.methods import SimSiam as SimSiam
    from simsiam_tf.methods import SwAV as SwAV
    from simsiam_tf.networks import ResNet as ResNet
    from simsiam_tf.networks import resnet18 as resnet18
    from simsiam_tf.networks import resnet34 as resnet34
    from simsiam_tf.networks import resnet50 as resnet50
    from simsiam_tf.networks import resnet101 as resnet101
    from simsiam_tf.networks import resnet152 as resnet152
    from simsiam_tf.optim import LARS as LARS
    from simsiam_tf.optim import SGD as SGD
    from simsiam_tf.optim import WarmupCosine as WarmupCosine

__version__ = "0.1.0"

_HOMES = {
    "networks": ("ResNet", "resnet18", "resnet34", "resnet50", "resnet101", "resnet152"),
    "methods": ("BYOL", "BarlowTwins", "MoCoV2", "SimCLR", "SimSiam", "SwAV"),
    "optim": ("LARS", "SGD", "WarmupCosine"),
}
__all__ = [name for names in _HOMES.values() for name in names]


def __getattr__(name: str) -> Any:
    # Names load on first use, so that a mistyped flag is answered without waiting for TensorFlow.
    for home, names in _HOMES.items():
        if name in names:
            return getattr(importlib.import_module(f"simsiam_tf.{home}"), name)
    raise AttributeError(f"module 'simsiam_tf' has no attribute {name!r}")
