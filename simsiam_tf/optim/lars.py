"""LARS (You et al. 2017), as the linear evaluation (paper App. A) and large batches (Sec. 6.1) use it."""

from collections.abc import Sequence

import keras
import tensorflow as tf

from simsiam_tf.optim.sgd import SGD


class LARS(SGD):
    """SGD whose gradient is scaled, variable by variable, to a fixed share of the variable's norm.

    For a variable w with gradient g, both of non-zero norm:
    g = (g + weight_decay * w) * trust_coefficient * |w| / (|g| + weight_decay * |w| + epsilon);
    any other g is left as it is and not decayed. Then v = momentum * v + g; w -= lr * v.

    Args:
        learning_rate: a float or a schedule of the step.
        sgd_momentum: weight of the old velocity.
        weight_decay: coupled L2; 0 in the paper's linear evaluation.
        trust_coefficient: the share.
        epsilon: added to the denominator.
        heads_axis: where a variable holds several weights side by side, the axis that counts them, from the end (-1,
            -2, ...): each is then scaled by its own norms.
        excluded: variables whose gradients are neither scaled nor decayed.
    """

    def __init__(
        self,
        learning_rate=0.02,
        sgd_momentum: float = 0.9,
        weight_decay: float = 0.0,
        trust_coefficient: float = 1e-3,
        epsilon: float = 1e-8,
        heads_axis: int | None = None,
        excluded: Sequence[keras.Variable] = (),
        name: str = "lars",
        **kwargs,
    ):
        super().__init__(learning_rate, sgd_momentum, weight_decay, name=name, **kwargs)
        self.trust_coefficient = trust_coefficient
        self.epsilon = epsilon
        self.heads_axis = heads_axis
        self._excluded = {id(v) for v in excluded}

    def build(self, variables) -> None:
        if self.built:
            return
        super().build(variables)
        self._adapts = [id(v) not in self._excluded for v in variables]

    def accumulate(self, velocity, gradient, variable) -> None:
        if not self._adapts[self._get_variable_index(variable)]:
            self.assign(velocity, self.sgd_momentum * velocity + gradient)
            return
        weight_norm, gradient_norm = self._norm(tf.convert_to_tensor(variable)), self._norm(gradient)
        scale = self.trust_coefficient * weight_norm / (gradient_norm + self.l2 * weight_norm + self.epsilon)
        adapted = (gradient + self.l2 * variable) * scale
        adapted = tf.where((weight_norm > 0) & (gradient_norm > 0), adapted, gradient)
        self.assign(velocity, self.sgd_momentum * velocity + adapted)

    def _norm(self, x):
        if self.heads_axis is None:
            return tf.norm(x)
        rank = len(x.shape)
        return tf.sqrt(
            tf.reduce_sum(tf.square(x), [i for i in range(rank) if i != rank + self.heads_axis], keepdims=True)
        )

    def get_config(self):
        own = {name: getattr(self, name) for name in ("trust_coefficient", "epsilon", "heads_axis")}
        return {**super().get_config(), **own}
