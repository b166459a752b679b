"""Optimisers and schedules with the paper's arithmetic."""

from simsiam_tf.optim.lars import LARS
from simsiam_tf.optim.schedules import WarmupCosine, WarmupSteps, scaled_learning_rate
from simsiam_tf.optim.sgd import SGD

__all__ = ["LARS", "SGD", "WarmupCosine", "WarmupSteps", "scaled_learning_rate"]
