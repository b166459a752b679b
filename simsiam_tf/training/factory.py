"""Makes the model, the optimizer and the view policies of a run from its settings."""

import contextlib
import logging
import math
from collections.abc import Iterator
from typing import Any

import keras

from simsiam_tf.augment import policies
from simsiam_tf.augment.policies import Policy
from simsiam_tf.config.optimizer import OptimizerConfig
from simsiam_tf.config.run import Config
from simsiam_tf.data.order import ShuffledOrder
from simsiam_tf.errors import UsageError
from simsiam_tf.host import available_memory
from simsiam_tf.methods import METHODS, SSLModel
from simsiam_tf.networks import make_backbone
from simsiam_tf.optim import LARS, SGD, WarmupCosine, scaled_learning_rate

_log = logging.getLogger(__name__)

# The size in bytes of a number in each floatx.
_BYTES = {"float64": 8, "float32": 4}
# Keras' dtype policy for each value of --precision.
_POLICIES = {"float64": "float64", "float32": "float32", "bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}


def set_precision(precision: str) -> None:
    """Sets Keras' floatx and dtype policy. It must be called before any layer is built.

    Args:
        precision: `float64`, `float32`, `bfloat16` or `float16`; the last two are mixed, with float32 weights.
    """
    keras.config.set_floatx("float64" if precision == "float64" else "float32")
    keras.config.set_dtype_policy(_POLICIES[precision])


@contextlib.contextmanager
def computing_in(config: Config) -> Iterator[None]:
    """Has layers that are made in the `with` block hold the weights of a run, in float64 or float32."""
    floatx, policy = keras.config.floatx(), keras.config.dtype_policy()
    set_precision("float64" if config.devices.precision == "float64" else "float32")
    try:
        yield
    finally:
        keras.config.set_floatx(floatx)
        keras.config.set_dtype_policy(policy)


def make_model(config: Config, num_classes: int = 0, steps_per_epoch: int = 1) -> SSLModel:
    """Makes the method and its backbone, with initial weights.

    Args:
        config: the settings of the run.
        num_classes: the number of classes of the online probe; 0 leaves the probe out. It is not used if the settings
            have no online probe.
        steps_per_epoch: the number of steps in an epoch.
    """
    model = config.model
    return METHODS[model.method](
        make_backbone(model, config.data.image_size),
        **model.of_method.values(),
        online_probe_classes=num_classes if model.online_probe else 0,
        steps_per_epoch=steps_per_epoch,
        epochs=config.run.epochs,
    )


def make_optimizer(
    config: OptimizerConfig,
    model: SSLModel,
    global_batch_size: int,
    epochs: int,
    steps_per_epoch: int,
    scale_loss: bool = False,
) -> SGD:
    """Makes the optimizer with its learning rate schedules (paper Sec. 3; Sec. 4.2 for the predictor's).

    Args:
        config: the settings of the optimizer.
        model: the method to train.
        global_batch_size: the number of images in a step; learning rates are proportional to it.
        epochs: the number of epochs of the run.
        steps_per_epoch: the number of steps in an epoch.
        scale_loss: whether the optimizer scales the loss, for float16.
    """
    total, warmup = epochs * steps_per_epoch, round(config.warmup_epochs * steps_per_epoch)
    held = steps_per_epoch if config.lr_decay == "epoch" else 1

    def decaying(peak: float) -> WarmupCosine:
        return WarmupCosine(peak, total, warmup, held, config.final_learning_rate)

    peak = scaled_learning_rate(config.base_learning_rate, global_batch_size)
    predictor_peak = peak * config.predictor_lr_multiplier
    predictor_rate = predictor_peak if config.predictor_lr == "constant" else decaying(predictor_peak)
    options: dict[str, Any] = {"scale_loss": scale_loss}
    if model.predictor is not None:
        options["overrides"] = [(model.predictor.trainable_variables, predictor_rate)]
    if config.optimizer == "sgd":
        return SGD(decaying(peak), config.sgd_momentum, config.weight_decay, **options)
    excluded = model.norms_and_biases if config.lars_exclude else []
    return LARS(decaying(peak), config.sgd_momentum, config.weight_decay, excluded=excluded, **options)


def make_compiled_model(config: Config, steps_per_epoch: int, num_classes: int = 0) -> SSLModel:
    """Makes a method and its optimizer, with all their variables. It must be called in the scope of the run's strategy.

    Args:
        config: the settings of the run.
        steps_per_epoch: the number of steps in an epoch, for the schedules.
        num_classes: the number of classes of the images, for the online probe.
    """
    model = make_model(config, num_classes, steps_per_epoch)
    optimizer = make_optimizer(
        config.optimizer,
        model,
        global_batch_size=config.data.global_batch_size,
        epochs=config.run.epochs,
        steps_per_epoch=steps_per_epoch,
        scale_loss=config.devices.precision == "float16",
    )
    model.compile(optimizer)
    optimizer.build(model.trainable_variables)
    model.accumulate_over(config.devices.accumulate_steps)
    return model


def view_policies(config: Config) -> tuple[Policy, ...]:
    """Returns the augmentation policy of each view in a step.

    Ordinarily these are two views, which make a pair. The variant `asymmetric_2x` of Sec. 4.6 has two pairs. SwAV may
    have small views besides its pair.
    """
    return policies.resolve(config.augment) * config.model.of_method.pairs_of_views


def make_target_table(model: SSLModel, order: ShuffledOrder) -> None:
    """Makes the table of remembered targets (paper Sec. 5.2), if the method has one.

    It must be called outside the scope of the strategy.

    Args:
        model: the method.
        order: the order of the run's images.

    Raises:
        UsageError: if the free memory of the host is less than twice the size of the table.
    """
    if model.targets is None:
        return
    shape = model.targets.table_shape(order.num_examples, order.global_batch_size, model.projector_dim)
    if shape is None:
        return
    gib, there = math.prod(shape) * _BYTES[keras.config.floatx()] / 2**30, available_memory() / 2**30
    what = f"{' x '.join(map(str, shape))} numbers, {gib:.3g} GiB"
    if 2 * gib > there:  # a resumed run holds the table twice while it restores it
        raise UsageError(
            f"The host must have free memory for twice the table of targets; {there:.3g} GiB are free. Train "
            f"on fewer images, or lower --projector_dim or --alternation_steps. Received: {what}."
        )
    _log.info(f"The table of targets takes {what}, in the host's memory and in each checkpoint.")
    model.targets.make_table(shape)
