"""Computes learning rates from the number of the step."""

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from simsiam_tf.errors import check, names_its_options


def scaled_learning_rate(base_learning_rate: float, global_batch_size: int) -> float:
    """Scales a learning rate with the batch: base x batch / 256 (paper Sec. 3).

    Example:
        >>> scaled_learning_rate(0.05, global_batch_size=512)
        0.1
    """
    return base_learning_rate * global_batch_size / 256


@keras.saving.register_keras_serializable(package="simsiam_tf")
@names_its_options
class WarmupCosine(keras.optimizers.schedules.LearningRateSchedule):
    """Decays the learning rate along a cosine to zero, without restart (paper Sec. 3).

    Without warm-up, the rate at step s of S is peak * (1 + cos(pi * s / S)) / 2.

    With w steps of warm-up, it first rises: peak * (s + 1) / (w + 1) for s < w. From step w on it is
    peak * (1 + cos(pi * (s - w) / (S - w))) / 2. With `final` above 0, the cosine ends at final * peak instead of zero.
    Rates are computed in Keras' floatx; Keras' own schedules stay in float32.

    Args:
        peak: the scaled learning rate; an array of them gives an array of rates.
        total_steps: S, the number of steps of the run.
        warmup_steps: w, the number of steps of the warm-up.
        steps_per_update: the number of steps for which the rate stays the same. With 1 it decays at each step. With
            the number of steps in an epoch, it decays once per epoch, as in the authors' release.
        final: the final learning rate as a fraction of the peak.

    Raises:
        ValueError: if a number is out of its range.

    Example:
        >>> import simsiam_tf
        >>> rate = simsiam_tf.WarmupCosine(peak=0.1, total_steps=100)
        >>> [round(float(rate(step)), 4) for step in (0, 50, 100)]
        [0.1, 0.05, 0.0]
    """

    def __init__(
        self,
        peak: float | np.ndarray,
        total_steps: int,
        warmup_steps: int = 0,
        steps_per_update: int = 1,
        final: float = 0.0,
    ) -> None:
        for option, number, least in (
            ("total_steps", total_steps, 1),
            ("warmup_steps", warmup_steps, 0),
            ("steps_per_update", steps_per_update, 1),
        ):
            check(number >= least, f"{option} must be at least {least}.", repr(number))
        # In an array, a rate that overflows belongs to one head of a sweep, which is never chosen.
        possible = bool(np.ndim(peak) > 0 or (np.isfinite(peak) and peak >= 0))
        check(possible, "peak must be a finite number that is not negative.", repr(peak))
        check(0 <= final <= 1, "final must be from 0 to 1.", repr(final))
        self.peak = peak
        self.total_steps = total_steps
        self.warmup_steps = warmup_steps
        self.steps_per_update = steps_per_update
        self.final = final

    def __call__(self, step: tf.Tensor | int) -> tf.Tensor:
        """Computes the learning rate of update number `step`, counted from 0; a scalar in floatx."""
        dtype = keras.config.floatx()
        step = tf.convert_to_tensor(step)
        held = tf.cast(step // self.steps_per_update * self.steps_per_update, dtype)
        warmup = tf.cast(self.warmup_steps, dtype)
        progress = tf.clip_by_value((held - warmup) / max(1, self.total_steps - self.warmup_steps), 0.0, 1.0)
        cosine = self.peak * (1.0 + tf.cos(tf.constant(math.pi, dtype) * progress)) / 2.0
        cosine = self.final * self.peak + (1.0 - self.final) * cosine if self.final else cosine
        now = tf.cast(step, dtype)
        return tf.where(now < warmup, self.peak * (now + 1.0) / (warmup + 1.0), cosine)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor, for serialisation."""
        return dict(vars(self))


@keras.saving.register_keras_serializable(package="simsiam_tf")
@names_its_options
class WarmupSteps(keras.optimizers.schedules.LearningRateSchedule):
    """Divides the learning rate by 10 at given steps, after a linear warm-up, as detectors are trained (Table 5).

    At step s < w of a warm-up of w steps, the rate is peak * (f + (1 - f) * s / w) with f = 0.001. From then on it is
    peak / 10^n, where n is the number of milestones up to s. Rates are computed in Keras' floatx.

    Args:
        peak: the learning rate after the warm-up.
        milestones: the steps at which the rate is divided by 10.
        warmup_steps: w, the number of steps of the warm-up.

    Raises:
        ValueError: if a number is out of its range.

    Example:
        >>> rate = WarmupSteps(peak=0.02, milestones=(18000, 22000), warmup_steps=100)
        >>> [round(float(rate(step)), 5) for step in (0, 50, 100, 18000)]
        [2e-05, 0.01001, 0.02, 0.002]
    """

    _FIRST = 0.001

    def __init__(self, peak: float, milestones: Sequence[int] = (), warmup_steps: int = 0) -> None:
        check(bool(np.isfinite(peak) and peak >= 0), "peak must be a finite number that is not negative.", repr(peak))
        check(warmup_steps >= 0, "warmup_steps must be at least 0.", repr(warmup_steps))
        check(all(step >= 0 for step in milestones), "milestones must be at least 0.", repr(milestones))
        self.peak, self.milestones, self.warmup_steps = peak, tuple(milestones), warmup_steps

    def __call__(self, step: tf.Tensor | int) -> tf.Tensor:
        """Computes the learning rate of update number `step`, counted from 0; a scalar in floatx."""
        dtype = keras.config.floatx()
        step = tf.convert_to_tensor(step)
        passed = tf.add_n([tf.cast(step >= milestone, dtype) for milestone in self.milestones] or [tf.zeros([], dtype)])
        progress = tf.minimum(tf.cast(step, dtype) / max(1, self.warmup_steps), 1.0) if self.warmup_steps else 1.0
        factor = self._FIRST + (1.0 - self._FIRST) * progress
        return tf.constant(self.peak, dtype) * factor * tf.constant(0.1, dtype) ** passed

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor, for serialisation."""
        return {"peak": self.peak, "milestones": list(self.milestones), "warmup_steps": self.warmup_steps}
