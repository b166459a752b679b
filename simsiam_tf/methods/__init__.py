"""Self-supervised methods; the keys are the file stems and the values of --method."""

from simsiam_tf.methods.base import SSLModel
from simsiam_tf.methods.simsiam import SimSiam

METHODS = {"simsiam": SimSiam}

__all__ = ["METHODS", "SSLModel", "SimSiam"]
