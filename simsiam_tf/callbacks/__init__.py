"""Keras callbacks that say how a run is doing: kNN accuracy, collapse, divergence."""

from simsiam_tf.callbacks.collapse_monitor import CollapseMonitor
from simsiam_tf.callbacks.knn_monitor import KNNMonitor

__all__ = ["CollapseMonitor", "KNNMonitor"]
