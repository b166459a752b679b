"""LARS (You et al. 2017), as the linear evaluation uses it (paper App. A)."""

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
    """

    def __init__(
        self,
        learning_rate=0.02,
        sgd_momentum: float = 0.9,
        weight_decay: float = 0.0,
        trust_coefficient: float = 1e-3,
        epsilon: float = 1e-8,
        name: str = "lars",
        **kwargs,
    ):
        super().__init__(learning_rate, sgd_momentum, weight_decay, name=name, **kwargs)
        self.trust_coefficient = trust_coefficient
        self.epsilon = epsilon

    def accumulate(self, velocity, gradient, variable) -> None:
        weight_norm, gradient_norm = tf.norm(tf.convert_to_tensor(variable)), tf.norm(gradient)
        scale = self.trust_coefficient * weight_norm / (gradient_norm + self.l2 * weight_norm + self.epsilon)
        adapted = (gradient + self.l2 * variable) * scale
        adapted = tf.where((weight_norm > 0) & (gradient_norm > 0), adapted, gradient)
        self.assign(velocity, self.sgd_momentum * velocity + adapted)

    def get_config(self):
        return {**super().get_config(), "trust_coefficient": self.trust_coefficient, "epsilon": self.epsilon}
