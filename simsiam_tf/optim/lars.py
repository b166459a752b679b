"""Defines LARS (You et al. 2017), as the linear evaluation (App. A) and large batches (Sec. 6.1) use it."""

import math
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from simsiam_tf.errors import check, names_its_options
from simsiam_tf.optim.chosen import ChosenVariables, Variables
from simsiam_tf.optim.sgd import SGD, Rate


@keras.saving.register_keras_serializable(package="simsiam_tf")
@names_its_options
class LARS(SGD):
    """Updates by SGD, with the gradient of each variable scaled in proportion to the variable's norm.

    For a variable w with gradient g, both of non-zero norm:
    g = (g + weight_decay * w) * trust_coefficient * |w| / (|g| + weight_decay * |w| + epsilon);
    if |w| or |g| is zero, g is neither scaled nor decayed. Then v = sgd_momentum * v + g; w -= lr * v.

    Args:
        learning_rate: the learning rate, or a schedule of the step.
        sgd_momentum: the weight of the old velocity.
        weight_decay: coupled L2; 0 in the paper's linear evaluation.
        trust_coefficient: the ratio of the scaled gradient's norm to the variable's norm, about.
        epsilon: a number added to the denominator.
        heads_axis: the axis that counts the heads, from the end (-1, -2, ...), for variables that hold several
            classifiers side by side. Each head is then scaled by its own norms. By default a variable is scaled as a
            whole.
        excluded: the variables, or their paths, whose gradients are neither scaled nor decayed.
        name: the name of the optimizer, a part of its variables' paths.

    Raises:
        ValueError: if a number is out of its range.

    Example:
        >>> import simsiam_tf
        >>> simsiam_tf.LARS(0.02, sgd_momentum=0.9).trust_coefficient
        0.001
    """

    def __init__(
        self,
        learning_rate: Rate = 0.02,
        sgd_momentum: float = 0.9,
        weight_decay: float = 0.0,
        trust_coefficient: float = 1e-3,
        epsilon: float = 1e-8,
        heads_axis: int | None = None,
        excluded: Variables = (),
        name: str = "lars",
        **kwargs: Any,
    ) -> None:
        for option, value in (("trust_coefficient", trust_coefficient), ("epsilon", epsilon)):
            check(0 < value < math.inf, f"{option} must be a positive, finite number.", repr(value))
        super().__init__(learning_rate, sgd_momentum, weight_decay, name=name, **kwargs)
        self.trust_coefficient = trust_coefficient
        self.epsilon = epsilon
        self.heads_axis = heads_axis
        self._excluded = ChosenVariables(excluded)

    def build(self, variables: Sequence[keras.Variable]) -> None:
        """Makes the velocities, and finds the excluded variables."""
        if self.built:
            return
        super().build(variables)
        excluded = set(self._excluded.positions(variables))
        self._adapts = [i not in excluded for i in range(len(variables))]

    def accumulate(self, velocity: keras.Variable, gradient: tf.Tensor, variable: keras.Variable) -> None:
        """Adds the scaled gradient to the velocity."""
        if not self._adapts[self._get_variable_index(variable)]:
            self.assign(velocity, self.sgd_momentum * velocity + gradient)
            return
        weight_norm, gradient_norm = self._norm(tf.convert_to_tensor(variable)), self._norm(gradient)
        scale = self.trust_coefficient * weight_norm / (gradient_norm + self.l2 * weight_norm + self.epsilon)
        adapted = (gradient + self.l2 * variable) * scale
        adapted = tf.where((weight_norm > 0) & (gradient_norm > 0), adapted, gradient)
        self.assign(velocity, self.sgd_momentum * velocity + adapted)

    def _norm(self, x: tf.Tensor) -> tf.Tensor:
        if self.heads_axis is None:
            return tf.norm(x)
        rank = len(x.shape)
        return tf.sqrt(
            tf.reduce_sum(tf.square(x), [i for i in range(rank) if i != rank + self.heads_axis], keepdims=True)
        )

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor, for serialisation; variables are named by their paths."""
        own = {name: getattr(self, name) for name in ("trust_coefficient", "epsilon", "heads_axis")}
        return {**super().get_config(), **own, "excluded": self._excluded.paths}
