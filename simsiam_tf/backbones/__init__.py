"""Backbones: images to features."""

from simsiam_tf.backbones.resnet import ResNet, resnet18, resnet34, resnet50, resnet101, resnet152

BACKBONES = {
    "resnet18": resnet18,
    "resnet34": resnet34,
    "resnet50": resnet50,
    "resnet101": resnet101,
    "resnet152": resnet152,
}

__all__ = ["BACKBONES", "ResNet", "resnet18", "resnet34", "resnet50", "resnet101", "resnet152"]
