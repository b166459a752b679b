"""Tells Keras of the classes of this package, so that `keras.saving.load_model` finds them without a further call.

Keras knows a class once its module is loaded. `import simsiam_tf` alone loads no module that needs TensorFlow, so what
Keras gets instead is a stand-in for each class, which loads the class when a file needs it.
"""

import importlib
import importlib.abc
import importlib.util
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any

# Every class that is registered with Keras, by its module.
REGISTERED: dict[str, tuple[str, ...]] = {
    "simsiam_tf.augment.two_views": ("TwoViews",),
    "simsiam_tf.detection": ("Detector",),
    "simsiam_tf.detection.heads": ("BoxHead", "MaskHead", "ProposalHead"),
    "simsiam_tf.losses.as_keras": (
        "BYOLLoss",
        "BarlowTwinsLoss",
        "CrossEntropySimilarity",
        "NTXent",
        "NegativeCosine",
        "SimSiamLoss",
    ),
    "simsiam_tf.methods": ("BYOL", "BarlowTwins", "MoCoV2", "SimCLR", "SimSiam", "SwAV"),
    "simsiam_tf.networks.heads": ("MLP",),
    "simsiam_tf.networks.normalization": ("BatchNormalization",),
    "simsiam_tf.networks.residual_block": ("ResidualBlock",),
    "simsiam_tf.networks.resnet": ("ResNet",),
    "simsiam_tf.optim": ("LARS", "SGD", "WarmupCosine", "WarmupSteps"),
}


class _StandIn:
    """Stands for a class until Keras asks for an object of it."""

    def __init__(self, module: str, name: str) -> None:
        self._module, self._name = module, name

    def from_config(self, config: dict[str, Any]) -> Any:
        """Loads the class, and makes an object from what its `get_config` returned."""
        return getattr(importlib.import_module(self._module), self._name).from_config(config)


class _AfterKeras(importlib.abc.MetaPathFinder):
    """Waits for Keras to be imported, and registers the classes then."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> Any:
        """Finds Keras as Python does, with the registration as the end of its import."""
        if name != "keras":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is None or spec.loader is None:
            return None
        execute = spec.loader.exec_module

        def execute_and_register(module: ModuleType) -> None:
            execute(module)
            _register()

        spec.loader.exec_module = execute_and_register  # type: ignore[method-assign]
        return spec


def register_with_keras() -> None:
    """Registers the classes now if Keras is loaded already, and otherwise as soon as it is."""
    if "keras" in sys.modules:
        _register()
    else:
        sys.meta_path.insert(0, _AfterKeras())


def _register() -> None:
    known = sys.modules["keras"].saving.get_custom_objects()
    for module, names in REGISTERED.items():
        for name in names:
            known.setdefault(f"simsiam_tf>{name}", _StandIn(module, name))
