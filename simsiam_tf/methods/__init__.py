"""Offers the self-supervised methods. `METHODS` maps each value of --method to its class."""

from simsiam_tf.methods.barlow_twins import BarlowTwins
from simsiam_tf.methods.base import SSLModel
from simsiam_tf.methods.byol import BYOL
from simsiam_tf.methods.mocov2 import MoCoV2
from simsiam_tf.methods.simclr import SimCLR
from simsiam_tf.methods.simsiam import SimSiam
from simsiam_tf.methods.swav import SwAV

METHODS = {
    "simsiam": SimSiam,
    "simclr": SimCLR,
    "mocov2": MoCoV2,
    "byol": BYOL,
    "swav": SwAV,
    "barlow_twins": BarlowTwins,
}

__all__ = ["BYOL", "METHODS", "BarlowTwins", "MoCoV2", "SSLModel", "SimCLR", "SimSiam", "SwAV"]
