"""SimSiam (Chen & He, arXiv 2011.10566) in TensorFlow and Keras.

Names and rooms load on first use: `import simsiam_tf` alone loads no TensorFlow.
"""

import importlib
from typing import TYPE_CHECKING, Any

from simsiam_tf.interop.keras_objects import register_with_keras

if TYPE_CHECKING:
    from simsiam_tf import augment as augment
    from simsiam_tf import callbacks as callbacks
    from simsiam_tf import detection as detection
    from simsiam_tf import errors as errors
    from simsiam_tf import features as features
    from simsiam_tf import losses as losses
    from simsiam_tf import methods as methods
    from simsiam_tf import networks as networks
    from simsiam_tf import optim as optim
    from simsiam_tf.augment import TwoViews as TwoViews
    from simsiam_tf.callbacks import CollapseMonitor as CollapseMonitor
    from simsiam_tf.callbacks import KNNMonitor as KNNMonitor
    from simsiam_tf.detection import Detector as Detector
    from simsiam_tf.evaluation.loaded_run import load as load
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
    from simsiam_tf.optim import WarmupSteps as WarmupSteps

__version__ = "1.0.0"

_ROOMS = ("augment", "callbacks", "detection", "errors", "features", "losses", "methods", "networks", "optim")
_HOMES = {
    "augment": ("TwoViews",),
    "callbacks": ("CollapseMonitor", "KNNMonitor"),
    "detection": ("Detector",),
    "evaluation.loaded_run": ("load",),
    "methods": ("BYOL", "BarlowTwins", "MoCoV2", "SimCLR", "SimSiam", "SwAV"),
    "networks": ("ResNet", "resnet18", "resnet34", "resnet50", "resnet101", "resnet152"),
    "optim": ("LARS", "SGD", "WarmupCosine", "WarmupSteps"),
}
__all__ = [*_ROOMS, *(name for names in _HOMES.values() for name in names)]


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return importlib.import_module(f"simsiam_tf.{name}")
    for home, names in _HOMES.items():
        if name in names:
            return getattr(importlib.import_module(f"simsiam_tf.{home}"), name)
    raise AttributeError(f"module 'simsiam_tf' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])


register_with_keras()
