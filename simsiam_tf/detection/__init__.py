"""Defines the detector: Faster R-CNN and Mask R-CNN on the C4 features of a ResNet."""

from simsiam_tf.detection.c4 import Detector

__all__ = ["Detector"]
