"""BYOL's loss (Grill et al. 2020, Eq. 2)."""

from collections.abc import Sequence

import tensorflow as tf

from simsiam_tf.losses.simsiam import negative_cosine


def byol_loss(p: Sequence[tf.Tensor], z: Sequence[tf.Tensor]) -> tf.Tensor:
    """Computes |p1 / |p1| - z2 / |z2||^2 + |p2 / |p2| - z1 / |z1||^2 of each image (BYOL, Eq. 2, both ways).

    With unit vectors each term is 2 - 2 cos: except for scale and origin it is SimSiam's loss.

    Args:
        p: predictions of view 1 and of view 2 by the online network, `[B, d]` each.
        z: projections of view 1 and of view 2 by the target network, `[B, d]` each; constants.

    Returns:
        `[B]`, between 0 (perfect) and 8.

    Example:
        >>> import numpy as np
        >>> p, z = [np.array([[1.0, 0.0]])] * 2, [np.array([[0.0, 1.0]])] * 2  # at right angles
        >>> float(byol_loss(p, z)[0])
        4.0
    """
    return tf.add_n([2.0 + 2.0 * negative_cosine(one, other) for one, other in zip(p, reversed(z), strict=True)])
