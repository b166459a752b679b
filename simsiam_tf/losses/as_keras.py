"""Offers the losses as `keras.losses.Loss`, for your own Keras models.

Keras calls a loss with (y_true, y_pred). Here y_true holds the targets, and y_pred the predictions. MoCo's and SwAV's
losses also need a queue or codes, so they exist only as functions.
"""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from simsiam_tf.errors import check, names_its_options
from simsiam_tf.losses.barlow_twins import barlow_twins_loss
from simsiam_tf.losses.byol import byol_loss
from simsiam_tf.losses.simclr import nt_xent
from simsiam_tf.losses.simsiam import cross_entropy, negative_cosine, simsiam_loss

Pair = Sequence[tf.Tensor]


class _Loss(keras.losses.Loss):
    """Keeps the options of a loss, for serialisation."""

    def __init__(self, default_name: str, options: dict[str, Any], **kwargs: Any) -> None:
        super().__init__(**{"name": default_name, **kwargs})
        self.options = options

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor, for serialisation."""
        return {**super().get_config(), **self.options}


@keras.saving.register_keras_serializable(package="simsiam_tf")
@names_its_options
class NegativeCosine(_Loss):
    """Computes D(p, z) = -cos(p, z), with y_pred = p and y_true = z, `[B, d]` each (paper Eq. 1 and 3).

    Args:
        stop_gradient: whether z is treated as a constant; if `False`, SimSiam collapses (Sec. 4.1).
        **kwargs: further arguments of `keras.losses.Loss`.

    Example:
        >>> import numpy as np
        >>> float(NegativeCosine()(np.ones([2, 4]), np.ones([2, 4])))
        -1.0
    """

    def __init__(self, stop_gradient: bool = True, **kwargs: Any) -> None:
        super().__init__("negative_cosine", {"stop_gradient": stop_gradient}, **kwargs)

    def call(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        """Computes the loss of each image, `[B]`."""
        return negative_cosine(y_pred, y_true, self.options["stop_gradient"])


@keras.saving.register_keras_serializable(package="simsiam_tf")
@names_its_options
class CrossEntropySimilarity(_Loss):
    """Computes the cross-entropy of the softmaxes of z and p, with y_pred = p and y_true = z (paper Sec. 4.5).

    Args:
        stop_gradient: whether z is a constant.
        **kwargs: further arguments of `keras.losses.Loss`.

    Example:
        >>> import numpy as np
        >>> round(float(CrossEntropySimilarity()(np.zeros([2, 4]), np.zeros([2, 4]))), 3)  # log 4
        1.386
    """

    def __init__(self, stop_gradient: bool = True, **kwargs: Any) -> None:
        super().__init__("cross_entropy_similarity", {"stop_gradient": stop_gradient}, **kwargs)

    def call(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        """Computes the loss of each image, `[B]`."""
        return cross_entropy(y_pred, y_true, self.options["stop_gradient"])


@keras.saving.register_keras_serializable(package="simsiam_tf")
@names_its_options
class SimSiamLoss(_Loss):
    """Computes L = D(p1, z2) / 2 + D(p2, z1) / 2, with y_pred = (p1, p2) and y_true = (z1, z2) (paper Eq. 4).

    Args:
        stop_gradient: whether z1 and z2 are treated as constants; if `False`, SimSiam collapses (Sec. 4.1).
        **kwargs: further arguments of `keras.losses.Loss`.

    Example:
        >>> import numpy as np
        >>> z = p = (np.ones([2, 4]), np.ones([2, 4]))
        >>> float(SimSiamLoss()(z, p))
        -1.0
    """

    def __init__(self, stop_gradient: bool = True, **kwargs: Any) -> None:
        super().__init__("simsiam_loss", {"stop_gradient": stop_gradient}, **kwargs)

    def call(self, y_true: Pair, y_pred: Pair) -> tf.Tensor:
        """Computes the loss of each image, `[B]`."""
        z1, z2 = y_true
        return simsiam_loss(tuple(y_pred), (z2, z1), stop_gradient=self.options["stop_gradient"])


@keras.saving.register_keras_serializable(package="simsiam_tf")
@names_its_options
class NTXent(_Loss):
    """Computes SimCLR's loss of (z1, z2), `[B, d]` each, given both as y_true and as y_pred (SimCLR, Eq. 1).

    Args:
        temperature: T, the temperature of the softmax.
        stop_gradient: whether y_true is a constant (Sec. 6.2); in SimCLR it is not.
        **kwargs: further arguments of `keras.losses.Loss`.

    Example:
        >>> import numpy as np
        >>> z = (np.eye(4, dtype="float32"), np.eye(4, dtype="float32"))
        >>> round(float(NTXent(temperature=0.1)(z, z)), 4)
        0.0003
    """

    def __init__(self, temperature: float = 0.1, stop_gradient: bool = False, **kwargs: Any) -> None:
        check(temperature > 0, "temperature must be positive.", temperature)
        super().__init__("nt_xent", {"temperature": temperature, "stop_gradient": stop_gradient}, **kwargs)

    def call(self, y_true: Pair, y_pred: Pair) -> tf.Tensor:
        """Computes the loss of each image, `[B]`."""
        temperature, stop_gradient = self.options["temperature"], self.options["stop_gradient"]
        return nt_xent(tuple(y_pred), tuple(y_true), temperature, stop_gradient=stop_gradient)


@keras.saving.register_keras_serializable(package="simsiam_tf")
@names_its_options
class BYOLLoss(_Loss):
    """Computes BYOL's loss, with y_pred = (p1, p2) and y_true = (z1, z2) of the target network (BYOL, Eq. 2).

    Args:
        **kwargs: arguments of `keras.losses.Loss`.

    Example:
        >>> import numpy as np
        >>> z = p = (np.ones([2, 4]), np.ones([2, 4]))
        >>> float(BYOLLoss()(z, p))
        0.0
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__("byol_loss", {}, **kwargs)

    def call(self, y_true: Pair, y_pred: Pair) -> tf.Tensor:
        """Computes the loss of each image, `[B]`."""
        return byol_loss(tuple(y_pred), tuple(tf.stop_gradient(z) for z in y_true))


@keras.saving.register_keras_serializable(package="simsiam_tf")
@names_its_options
class BarlowTwinsLoss(_Loss):
    """Computes the loss of Barlow Twins, with y_pred = z1 and y_true = z2, `[B, d]` each (its Eq. 1).

    Args:
        redundancy_weight: lambda, the weight of the correlations between channels.
        **kwargs: further arguments of `keras.losses.Loss`.

    Example:
        >>> import numpy as np
        >>> z = np.array([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
        >>> float(BarlowTwinsLoss()(z, z))
        0.0
    """

    def __init__(self, redundancy_weight: float = 0.005, **kwargs: Any) -> None:
        check(redundancy_weight >= 0, "redundancy_weight must not be negative.", redundancy_weight)
        super().__init__("barlow_twins_loss", {"redundancy_weight": redundancy_weight}, **kwargs)

    def call(self, y_true: tf.Tensor, y_pred: tf.Tensor) -> tf.Tensor:
        """Computes the loss of the batch, a scalar."""
        return barlow_twins_loss(y_pred, y_true, self.options["redundancy_weight"])
