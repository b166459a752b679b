"""Computes fingerprints of weights, which tell whether two networks are equal to the bit."""

import hashlib
from collections.abc import Iterable

import keras
import numpy as np


def variables_sha256(variables: Iterable[keras.Variable]) -> str:
    """Computes the SHA-256 of the paths and values of variables, sorted by path.

    Args:
        variables: the variables, in any order.

    Returns:
        64 hexadecimal digits. They are equal for equal paths and values, to the bit.
    """
    digest = hashlib.sha256()
    for variable in sorted(variables, key=lambda v: v.path):
        digest.update(variable.path.encode())
        digest.update(np.ascontiguousarray(variable.value.numpy()).tobytes())
    return digest.hexdigest()
