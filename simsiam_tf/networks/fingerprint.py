"""Fingerprints of weights: whether two networks are the same to the bit."""

import hashlib
from collections.abc import Iterable

import keras
import numpy as np


def variables_sha256(variables: Iterable[keras.Variable]) -> str:
    """Computes a fingerprint of variables: the SHA-256 of their paths and values, in the order of their paths."""
    digest = hashlib.sha256()
    for variable in sorted(variables, key=lambda v: v.path):
        digest.update(variable.path.encode())
        digest.update(np.ascontiguousarray(variable.value.numpy()).tobytes())
    return digest.hexdigest()
