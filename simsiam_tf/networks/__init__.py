"""Defines the networks: backbones from images to features, heads, batch norm, the momentum encoder."""

from collections.abc import Callable

import keras

from simsiam_tf.config.model import ModelConfig
from simsiam_tf.config.run import resolve_stem
from simsiam_tf.networks.others import make_other
from simsiam_tf.networks.resnet import ResNet, resnet18, resnet34, resnet50, resnet101, resnet152

# The constructor of each backbone, by the value of --arch.
BACKBONES: dict[str, Callable[..., ResNet]] = {
    "resnet18": resnet18,
    "resnet34": resnet34,
    "resnet50": resnet50,
    "resnet101": resnet101,
    "resnet152": resnet152,
}

__all__ = [
    "BACKBONES",
    "ResNet",
    "feature_dim",
    "make_backbone",
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "resnet152",
]


def make_backbone(model: ModelConfig, image_size: int) -> keras.Model:
    """Makes the backbone that the settings of a run ask for, with random weights.

    Args:
        model: the settings of the networks.
        image_size: the side of the views, pixels.

    Raises:
        UsageError: if it is a network of others that does not exist, or does not take images of this size.

    Example:
        >>> make_backbone(ModelConfig(arch="resnet18", width=0.125), 32).feature_dim
        64
    """
    if model.arch in BACKBONES:
        return BACKBONES[model.arch](cifar_stem=resolve_stem(model, image_size), width=model.width)
    return make_other(model.arch, image_size)


def feature_dim(backbone: keras.Model) -> int:
    """Finds D, the number of features that a backbone computes for an image.

    Args:
        backbone: any `keras.Model` that has an attribute `feature_dim`, or that is built and maps images to `[B, D]`.

    Returns:
        The attribute `feature_dim` if there is one, otherwise the length of the last axis of the output.

    Raises:
        ValueError: if the backbone has no `feature_dim`, and is not built or does not give `[B, D]`.

    Example:
        >>> feature_dim(resnet18(width=0.125))
        64
    """
    if hasattr(backbone, "feature_dim"):
        return int(backbone.feature_dim)
    shape = getattr(backbone, "output_shape", None) if backbone.built else None
    if shape is None or len(shape) != 2 or shape[-1] is None:
        raise ValueError(
            "A backbone must be built and give features [B, D], or carry D as `feature_dim`. "
            f"Received: {backbone.name} with output shape {shape}."
        )
    return int(shape[-1])
