"""Defines the paper's SGD: coupled weight decay on every parameter, the learning rate outside the velocity."""

import math
import threading
from collections.abc import Sequence
from typing import Any, Self, TypeAlias

import keras
import numpy as np
import tensorflow as tf

from simsiam_tf.distribute import collectives
from simsiam_tf.errors import check, names_its_options
from simsiam_tf.optim.chosen import ChosenVariables, Variables

# What the optimizer measures in a step. Each replica is traced in its own thread.
_OF_REPLICA = threading.local()

Rate: TypeAlias = "float | keras.optimizers.schedules.LearningRateSchedule"


@keras.saving.register_keras_serializable(package="simsiam_tf")
@names_its_options
class SGD(keras.optimizers.Optimizer):
    """Updates by SGD with momentum, as the paper and PyTorch define it (paper Sec. 3).

    For each variable w with gradient g:  g += weight_decay * w;  v = sgd_momentum * v + g;  w -= lr * v.
    Keras' own SGD decouples the decay and folds the learning rate into the velocity. Under a schedule both give other
    weights.

    If a number of the gradient is not finite on any replica, the step changes no weight and no velocity. It counts as a
    step of the schedule all the same.

    Args:
        learning_rate: the learning rate, or a schedule of the step.
        sgd_momentum: the weight of the old velocity.
        weight_decay: coupled L2 on every variable, scales and offsets of batch norm and biases included.
        overrides: variables with their own learning rate, such as the predictor's (Sec. 4.2): pairs of a list of
            variables (or their paths) and a rate or schedule.
        scale_loss: whether the loss is multiplied by a power of two, which keeps small gradients of float16 from
            vanishing. If a gradient overflows on any replica, the factor halves. After 2000 good steps in a row the
            factor doubles. (Keras' wrapper looks at one replica only.)
        undecayed: variables (or their paths) that the decay leaves out, such as the scales and offsets of batch norm in
            the fine-tuning of a detector (Table 5).
        name: the name of the optimizer, a part of its variables' paths.

    Raises:
        ValueError: if a number is negative or not finite.

    Example:
        >>> import simsiam_tf
        >>> optimizer = simsiam_tf.SGD(simsiam_tf.WarmupCosine(0.1, total_steps=1000), weight_decay=1e-4)
        >>> round(optimizer.learning_rate_at(500), 4)
        0.05
    """

    # At LEAST_SCALE gradients have overflowed without any scaling.
    LEAST_SCALE, _FIRST_SCALE, _GROW_EVERY = 0.5, 2.0**15, 2000

    def __init__(
        self,
        learning_rate: Rate = 0.05,
        sgd_momentum: float = 0.9,
        weight_decay: float = 1e-4,
        overrides: Sequence[tuple[Variables, Rate]] = (),
        scale_loss: bool = False,
        undecayed: Variables = (),
        name: str = "sgd",
        **kwargs: Any,
    ) -> None:
        for rate in (learning_rate, *(rate for _, rate in overrides)):
            # A negative rate would climb the loss without a word; a schedule checks its own numbers.
            if isinstance(rate, int | float):
                check(0 <= rate < math.inf, "learning_rate must be a finite number that is not negative.", repr(rate))
        for option, value in (("sgd_momentum", sgd_momentum), ("weight_decay", weight_decay)):
            possible = bool(np.all((np.asarray(value) >= 0) & np.isfinite(value)))
            check(possible, f"{option} must be a finite number that is not negative.", repr(value))
        # The base class' own weight_decay is the decoupled kind: leave it unset.
        super().__init__(learning_rate=learning_rate, name=name, **kwargs)
        self.sgd_momentum = sgd_momentum
        self.l2 = weight_decay
        self.scales_loss = scale_loss
        self._overrides = [(ChosenVariables(variables), rate) for variables, rate in overrides]
        self._undecayed = ChosenVariables(undecayed)

    def build(self, variables: Sequence[keras.Variable]) -> None:
        """Makes the velocities, and the state of the loss scaling if there is any."""
        if self.built:
            return
        super().build(variables)
        self.velocities = self.add_optimizer_variables(variables, "velocity")
        self._own_rate: list[Rate | None] = [None] * len(variables)
        for chosen, rate in self._overrides:
            for i in chosen.positions(variables):
                self._own_rate[i] = rate
        undecayed = set(self._undecayed.positions(variables))
        self._decays = [i not in undecayed for i in range(len(variables))]
        if self.scales_loss:
            own: dict[str, Any] = {"shape": (), "dtype": "float32", "aggregation": "only_first_replica"}
            first = keras.initializers.Constant(self._FIRST_SCALE)
            self.loss_scale = self.add_variable(initializer=first, name="loss_scale", **own)
            self.good_steps = self.add_variable(initializer="zeros", name="good_steps", **own)

    def learning_rate_at(self, step: int) -> float:
        """Computes the learning rate of update number `step`, counted from 0."""
        rate = self._learning_rate
        return float(rate(step) if callable(rate) else tf.convert_to_tensor(rate))

    def scale_loss(self, loss: tf.Tensor) -> tf.Tensor:
        """Multiplies the loss by the scale, before the gradient is computed."""
        return loss * tf.cast(self.loss_scale, loss.dtype) if self.scales_loss else super().scale_loss(loss)

    def apply(self, grads: list[tf.Tensor], trainable_variables: list[keras.Variable] | None = None) -> None:
        """Updates the variables; with a scaled loss, the gradients are unscaled first."""
        if self.scales_loss:
            grads = self._unscaled(grads)
        super().apply(grads, trainable_variables)

    def _unscaled(self, gradients: list[tf.Tensor]) -> list[tf.Tensor]:
        """Divides the gradients by the scale, and adapts it; makes all NaN if any is not finite on any replica."""
        finite = tf.reduce_all([tf.reduce_all(tf.math.is_finite(g)) for g in gradients])
        good = collectives.all_reduce_mean(tf.cast(finite, tf.float32)) == 1.0
        by = tf.where(good, 1.0 / self.loss_scale, float("nan"))
        steps = tf.where(good, self.good_steps + 1.0, 0.0)
        grow = steps >= self._GROW_EVERY
        changed = tf.where(good, tf.where(grow, 2.0, 1.0), 0.5) * self.loss_scale
        self.loss_scale.assign(tf.maximum(changed, self.LEAST_SCALE))
        self.good_steps.assign(tf.where(grow, 0.0, steps))
        return [g * tf.cast(by, g.dtype) for g in gradients]

    @property
    def gradient_norm(self) -> tf.Tensor:
        """Returns the length of the gradient that was applied last in this replica, summed over the replicas.

        It is not finite if a number of the gradient is not. It can be read in the function that calls
        `apply_gradients`, after the call.
        """
        return _OF_REPLICA.gradient_norm

    def _all_reduce_sum_gradients(self, grads_and_vars: Any) -> list[tuple[Any, tf.Variable]]:
        """Sums the gradients over the replicas, and measures the sum. Keras calls it before the update.

        Returns:
            For each variable its gradient, with a number that is 1 if all gradients are finite and otherwise 0.
        """
        reduced = super()._all_reduce_sum_gradients(grads_and_vars)
        norm = tf.linalg.global_norm([gradient for gradient, _ in reduced if gradient is not None])
        _OF_REPLICA.gradient_norm = norm
        is_finite = tf.math.is_finite(norm)
        return [(None if gradient is None else (gradient, is_finite), variable) for gradient, variable in reduced]

    def update_step(self, gradient: Any, variable: keras.Variable, learning_rate: tf.Tensor) -> None:
        """Updates one variable and its velocity, unless a number of the whole gradient is not finite."""
        index = self._get_variable_index(variable)
        own_rate = self._own_rate[index]
        if own_rate is not None:
            learning_rate = own_rate(self.iterations) if callable(own_rate) else own_rate
        gradient, is_finite = gradient
        velocity, gradient = self.velocities[index], tf.cast(gradient, variable.dtype)
        before = tf.convert_to_tensor(velocity)
        self.accumulate(velocity, gradient, variable)
        after = tf.convert_to_tensor(velocity)
        self.assign(velocity, tf.where(is_finite, after, before))
        step = tf.cast(learning_rate, variable.dtype) * after
        self.assign_sub(variable, tf.where(is_finite, step, tf.zeros_like(step)))

    def accumulate(self, velocity: keras.Variable, gradient: tf.Tensor, variable: keras.Variable) -> None:
        """Sets v = sgd_momentum * v + (gradient + weight_decay * w)."""
        # Two assignments, not one sum: TensorFlow merges a sum with those inside the gradient (one term for each
        # view) into an AddN, and the order of an AddN of three or more terms depends on the timing of threads.
        decay = self.l2 * variable if self._decays[self._get_variable_index(variable)] else 0.0
        self.assign(velocity, self.sgd_momentum * velocity + decay)
        self.assign_add(velocity, gradient)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor, for serialisation; variables are named by their paths."""
        overrides = [[chosen.paths, keras.saving.serialize_keras_object(rate)] for chosen, rate in self._overrides]
        own = {"sgd_momentum": self.sgd_momentum, "weight_decay": self.l2, "scale_loss": self.scales_loss}
        return {**super().get_config(), **own, "overrides": overrides, "undecayed": self._undecayed.paths}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> Self:
        """Makes an optimizer from what `get_config` returned."""
        restored = keras.saving.deserialize_keras_object
        overrides = [(paths, restored(rate, custom_objects)) for paths, rate in config.get("overrides", ())]
        return super().from_config({**config, "overrides": overrides}, custom_objects)
