"""Checks training steps on these devices, in the precision of the run, against numbers that were computed in float64.

The network, its first weights and its views follow from rules, so that `training_step.json` holds only what comes out:
losses, and lengths of gradients and weights. tests/doctor/test_training_step.py recomputes them, and runs the steps of
this module on the settings of tests/parity, where they give the numbers of an independent implementation.
"""

import contextlib
import dataclasses
import json
import pathlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from simsiam_tf.doctor.checks import Asked, Outcome
from simsiam_tf.methods.simsiam import SimSiam
from simsiam_tf.networks import BACKBONES
from simsiam_tf.optim import SGD, WarmupCosine
from simsiam_tf.training import factory

_STEPS = 3
_BATCH, _SIDE = 16, 32
_RATE = 0.05 * _BATCH / 256
# The greatest differences that are allowed: of a loss; and of the length of a gradient or of weights, relative to it
# and to a tenth of all of them together. At least four times what was seen on a CPU (docs/results/doctor.md).
TOLERANCES = {"float64": (1e-10, 1e-8), "float32": (1e-4, 1e-4), "bfloat16": (3e-2, 0.4), "float16": (5e-3, 0.3)}
# GPUs multiply float32 with the 10 bits of mantissa that float16 has (TF32).
_OF_FLOAT32_ON_GPUS = "float16"
_ADVICE = (
    "the devices compute something else than the paper's step; if it is a GPU, look at its driver and its errors "
    "(nvidia-smi -q); compare with another machine before you trust any number of this one"
)


@dataclasses.dataclass(frozen=True)
class Steps:
    """Holds what comes out of some training steps.

    Attributes:
        losses: the loss of each step.
        gradients: the length of the gradient of each trained variable, before the first step.
        weights: the length of each trained variable, after the last step.
    """

    losses: Sequence[float]
    gradients: Sequence[float]
    weights: Sequence[float]


def training_step(asked: Asked) -> Outcome:
    """Compares training steps with those of the fixture.

    Args:
        asked: what is asked, of which the precision of the run counts.
    """
    precision = asked.precision
    rounds_more = precision == "float32" and bool(tf.config.list_physical_devices("GPU"))
    tolerance = TOLERANCES[_OF_FLOAT32_ON_GPUS if rounds_more else precision]
    return compare(expected(), measured(precision), precision, tolerance)


def expected() -> Steps:
    """Returns the numbers of the fixture."""
    content = json.loads((pathlib.Path(__file__).parent / "training_step.json").read_text())
    return Steps(content["losses"], content["gradients"], content["weights"])


def compare(wanted: Steps, found: Steps, precision: str, tolerance: tuple[float, float]) -> Outcome:
    """Judges what came out of the steps.

    Args:
        wanted: the numbers of the fixture.
        found: the numbers of these devices.
        precision: the precision of the devices' arithmetic.
        tolerance: the greatest differences that are allowed, as in `TOLERANCES`.
    """
    of_loss, of_length = tolerance
    loss = float(np.max(np.abs(np.subtract(found.losses, wanted.losses))))
    lengths = max(_difference(found.gradients, wanted.gradients), _difference(found.weights, wanted.weights))
    value = f"{precision}: losses to {loss:.1g}, gradients and weights to {lengths:.1g} of float64"
    if loss <= of_loss and lengths <= of_length:
        return Outcome("pass", value)
    return Outcome("fail", f"{value}; at most {of_loss:g} and {of_length:g} are allowed", _ADVICE)


def _difference(found: Sequence[float], wanted: Sequence[float]) -> float:
    """Returns the greatest relative difference of lengths; infinite if there is another number of them."""
    if len(found) != len(wanted):
        return float("inf")
    scale = np.abs(wanted) + 0.1 * np.linalg.norm(wanted)
    return float(np.max(np.abs(np.subtract(found, wanted)) / scale))


def measured(precision: str) -> Steps:
    """Computes the numbers of the fixture on TensorFlow's default device.

    Args:
        precision: the value of --precision.
    """
    with in_precision(precision):
        model = _make_model(precision == "float16")
        for number, variable in enumerate(model.trainable_variables):
            variable.assign(_first_value(number, variable))
        views = tuple(tf.constant(view, keras.config.floatx()) for view in _views())
        return take_steps(model, views, _STEPS)


@contextlib.contextmanager
def in_precision(precision: str) -> Iterator[None]:
    """Has layers that are made in the `with` block compute in a precision of --precision."""
    floatx, policy = keras.config.floatx(), keras.config.dtype_policy()
    factory.set_precision(precision)
    try:
        yield
    finally:
        keras.config.set_floatx(floatx)
        keras.config.set_dtype_policy(policy)


def take_steps(
    model: SimSiam, views: tuple[tf.Tensor, tf.Tensor], count: int, again: Callable[[], Any] | None = None
) -> Steps:
    """Takes training steps on one batch.

    Args:
        model: a compiled SimSiam whose optimizer is built.
        views: x1 and x2, `[B, side, side, 3]` each.
        count: the number of steps.
        again: a function that puts all variables back, the moving statistics too, once the gradients are known. By
            default only these statistics have moved, which training does not read.
    """
    gradients = _gradients(model, views)
    if again is not None:
        again()
    step, losses = tf.function(model.train_step, autograph=False), []
    for _ in range(count):
        model.reset_metrics()
        losses.append(float(step(views)["loss"]))
    return Steps(losses, gradients, [_length(variable.value) for variable in model.trainable_variables])


def _gradients(model: SimSiam, views: tuple[tf.Tensor, tf.Tensor]) -> list[float]:
    with tf.GradientTape() as tape:
        loss, _ = model.compute_ssl_loss({"views": views}, training=True)
        scale = 1.0
        if model.scales_loss:  # without it, float16 has no such small gradients
            scale = float(model.optimizer.loss_scale.numpy())
            loss = loss * tf.cast(scale, loss.dtype)
    return [_length(g) / scale for g in tape.gradient(loss, [v.value for v in model.trainable_variables])]


def _length(value: tf.Tensor) -> float:
    return float(np.linalg.norm(tf.convert_to_tensor(value).numpy().astype(np.float64)))


def _make_model(scale_loss: bool) -> SimSiam:
    backbone = BACKBONES["resnet18"](cifar_stem=True, width=0.125)
    model = SimSiam(backbone, projector_dim=32, projector_layers=2, predictor_dim=8)
    model.compile(SGD(WarmupCosine(_RATE, _STEPS), 0.9, 5e-4, scale_loss=scale_loss), jit_compile=False)
    model.optimizer.build(model.trainable_variables)
    return model


def _first_value(number: int, variable: keras.Variable) -> np.ndarray:
    """Returns the value that a variable begins with, from its number among the trained ones and its shape."""
    shape, drawn = variable.shape, np.random.RandomState(number).standard_normal(tuple(variable.shape))
    if len(shape) > 1:
        return drawn * np.sqrt(2 / np.prod(shape[:-1]))
    return 0.1 * drawn + (1 if variable.path.endswith("gamma") else 0)


def _views() -> tuple[np.ndarray, np.ndarray]:
    """Returns two views, `[B, side, side, 3]` each, that share coarse patches."""
    rng = np.random.RandomState(_BATCH)
    coarse = rng.standard_normal((_BATCH, 4, 4, 3)).repeat(_SIDE // 4, 1).repeat(_SIDE // 4, 2)
    one, two = (factor * coarse + 0.3 * rng.standard_normal(coarse.shape) for factor in (1.0, 0.8))
    return one.astype(np.float32), two.astype(np.float32)


def fixture() -> Mapping[str, Any]:
    """Computes the content of `training_step.json`, in float64."""
    return dataclasses.asdict(measured("float64"))
