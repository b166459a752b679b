"""Offers each loss as a function of tensors, and most of them as a `keras.losses.Loss` too."""

from simsiam_tf.losses.as_keras import (
    BarlowTwinsLoss,
    BYOLLoss,
    CrossEntropySimilarity,
    NegativeCosine,
    NTXent,
    SimSiamLoss,
)
from simsiam_tf.losses.barlow_twins import barlow_twins_loss
from simsiam_tf.losses.byol import byol_loss
from simsiam_tf.losses.mocov2 import info_nce, mocov2_loss
from simsiam_tf.losses.simclr import nt_xent
from simsiam_tf.losses.simsiam import cross_entropy, negative_cosine, simsiam_loss
from simsiam_tf.losses.swav import sinkhorn, swapped_prediction

__all__ = [
    "BYOLLoss",
    "BarlowTwinsLoss",
    "CrossEntropySimilarity",
    "NTXent",
    "NegativeCosine",
    "SimSiamLoss",
    "barlow_twins_loss",
    "byol_loss",
    "cross_entropy",
    "info_nce",
    "mocov2_loss",
    "negative_cosine",
    "nt_xent",
    "simsiam_loss",
    "sinkhorn",
    "swapped_prediction",
]
