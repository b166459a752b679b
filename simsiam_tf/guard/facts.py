"""Gathers the settings of a run that may be the cause of what goes wrong."""

import dataclasses
from typing import Any

from simsiam_tf.augment.policies import resolve
from simsiam_tf.config.run import Config


@dataclasses.dataclass(frozen=True)
class Facts:
    """Holds settings of a run; `None` is one that is not known, as in plain `fit`.

    Attributes:
        method: the name of the method, as in --method.
        stop_gradient: whether the targets are constants.
        predictor: the kind of predictor, as in --predictor.
        bn_placement: the batch norm of the heads, as in --bn_placement.
        momentum_encoder: whether a momentum encoder makes the targets.
        loss_is_cosine: whether the loss is a negative cosine, from -1 to 1.
        chance_loss: the loss of a network that finds views of an image no more alike than others.
        base_learning_rate: the learning rate at a batch of 256.
        warmup_epochs: the number of epochs in which the learning rate rises.
        weight_decay: the weight decay.
        batch_size: the number of images in a step, over all replicas.
        accumulate_steps: the number of parts of a batch, each with batch statistics of its own.
        crop_min_scale: the least area of a crop, as a share of the image.
        changes_colours: whether colours are changed at random, or taken away.
        images: the number of training images.
        precision: the arithmetic, as in --precision.
        untrained_knn: the kNN accuracy of the untrained network in percent.
        knn_images: the number of images that kNN is measured on.
    """

    method: str | None = None
    stop_gradient: bool | None = None
    predictor: str | None = None
    bn_placement: str | None = None
    momentum_encoder: bool | None = None
    loss_is_cosine: bool = False
    chance_loss: float | None = None
    base_learning_rate: float | None = None
    warmup_epochs: float | None = None
    weight_decay: float | None = None
    batch_size: int | None = None
    accumulate_steps: int = 1
    crop_min_scale: float | None = None
    changes_colours: bool | None = None
    images: int | None = None
    precision: str | None = None
    untrained_knn: float | None = None
    knn_images: int | None = None


def facts_of_model(model: Any) -> Facts:
    """Returns what a method of this package tells of itself.

    Args:
        model: a compiled method, or any Keras model, of which little is known.
    """
    options = getattr(model, "options", {})
    chance = getattr(model, "chance_loss", None)
    momentum = options.get("ema_momentum")
    return Facts(
        method=type(model).__name__.lower(),
        stop_gradient=options.get("stop_gradient"),
        predictor=options.get("predictor"),
        bn_placement=options.get("bn_placement"),
        momentum_encoder=None if momentum is None else momentum > 0,
        loss_is_cosine=chance == 0,
        chance_loss=chance,
        weight_decay=_number(getattr(getattr(model, "optimizer", None), "l2", None)),
    )


def facts_of_run(config: Config, model: Any, images: int) -> Facts:
    """Returns the settings of a run of train.py.

    Args:
        config: the settings of the run.
        model: the method.
        images: the number of training images.
    """
    optimizer, policies = config.optimizer, resolve(config.augment)
    return dataclasses.replace(
        facts_of_model(model),
        method=config.model.method,
        base_learning_rate=optimizer.base_learning_rate,
        warmup_epochs=optimizer.warmup_epochs,
        weight_decay=optimizer.weight_decay,
        batch_size=config.data.global_batch_size,
        accumulate_steps=config.devices.accumulate_steps,
        crop_min_scale=min(policy.crop_min_scale or 1.0 for policy in policies),  # 0 is the centre, the same each time
        changes_colours=any(policy.jitter_p > 0 or policy.gray_p > 0 for policy in policies),
        images=images,
        precision=config.devices.precision,
    )


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) else None
