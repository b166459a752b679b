"""The paper's SGD: coupled weight decay on every parameter, the learning rate outside the velocity."""

from collections.abc import Sequence

import keras
import tensorflow as tf


class SGD(keras.optimizers.Optimizer):
    """SGD with momentum as the paper and PyTorch mean it (paper Sec. 3).

    For each variable w with gradient g:  g += weight_decay * w;  v = sgd_momentum * v + g;  w -= lr * v.
    Keras' own SGD decouples the decay and folds the learning rate into the velocity; under a schedule both
    give other weights.

    Args:
        learning_rate: a float or a schedule of the step.
        sgd_momentum: weight of the old velocity.
        weight_decay: coupled L2 on every variable, batch norm's and biases included.
        overrides: pairs of (variables, learning rate or schedule) for variables with a rate of their own,
            such as the predictor's (Sec. 4.2).
    """

    def __init__(
        self,
        learning_rate: float | keras.optimizers.schedules.LearningRateSchedule = 0.05,
        sgd_momentum: float = 0.9,
        weight_decay: float = 1e-4,
        overrides: Sequence[tuple[Sequence[keras.Variable], object]] = (),
        name: str = "sgd",
        **kwargs,
    ):
        # The base class' own weight_decay is the decoupled kind: leave it unset.
        super().__init__(learning_rate=learning_rate, name=name, **kwargs)
        self.sgd_momentum = sgd_momentum
        self.l2 = weight_decay
        self._overrides = {id(v): rate for variables, rate in overrides for v in variables}

    def build(self, variables) -> None:
        if self.built:
            return
        super().build(variables)
        self.velocities = self.add_optimizer_variables(variables, "velocity")
        self._own_rate = [self._overrides.get(id(v)) for v in variables]

    def update_step(self, gradient, variable, learning_rate) -> None:
        index = self._get_variable_index(variable)
        own_rate = self._own_rate[index]
        if own_rate is not None:
            learning_rate = own_rate(self.iterations) if callable(own_rate) else own_rate
        velocity = self.velocities[index]
        self.accumulate(velocity, tf.cast(gradient, variable.dtype), variable)
        self.assign_sub(variable, tf.cast(learning_rate, variable.dtype) * velocity)

    def accumulate(self, velocity, gradient, variable) -> None:
        """v = sgd_momentum * v + (gradient + weight_decay * w)."""
        # Two assignments, not one sum: TensorFlow merges a sum with those inside the gradient (one term for each
        # view) into an AddN, and the order of an AddN of three or more terms depends on the timing of threads.
        self.assign(velocity, self.sgd_momentum * velocity + self.l2 * variable)
        self.assign_add(velocity, gradient)

    def get_config(self):
        return {**super().get_config(), "sgd_momentum": self.sgd_momentum, "weight_decay": self.l2}
