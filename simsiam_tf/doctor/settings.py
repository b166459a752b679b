"""Checks that the devices can do what the settings of a run ask for, and chooses settings if none are named."""

import dataclasses
from collections.abc import Sequence

from simsiam_tf.config.run import Config
from simsiam_tf.distribute.strategy import has_accelerator
from simsiam_tf.doctor.checks import Asked, Outcome
from simsiam_tf.doctor.opened import images_of, started, strategy_of
from simsiam_tf.errors import UsageError
from simsiam_tf.training.chosen_settings import ChosenSettings
from simsiam_tf.training.given_weights import given_for
from simsiam_tf.training.limits import check_memory, slow_precision
from simsiam_tf.training.opened_run import order_of, refuse_what_cannot_be_computed


def settings(asked: Asked) -> Outcome:
    """Judges the settings, as train.py does before it opens anything.

    Args:
        asked: what is asked, of which the settings of the run count.
    """
    config = started(asked.run)
    strategy = strategy_of(config)
    try:
        refuse_what_cannot_be_computed(config, strategy)
    except UsageError as error:
        fitting = greatest_batch(config)
        if not fitting:
            raise
        rule, _, received = str(error).partition(" Received: ")
        raise UsageError(f"{rule} At most {fitting} images can fit at once. Received: {received}") from error
    given_for(config)
    replicas, model = strategy.num_replicas_in_sync, config.model
    value = f"{model.method}, {model.arch}, batch {config.data.global_batch_size}, {config.devices.precision}"
    value += f", {replicas} replica{'' if replicas == 1 else 's'}"
    slow = slow_precision(config, has_accelerator(strategy))
    return Outcome("warn", value, slow.rstrip(".")) if slow else Outcome("pass", value)


def greatest_batch(config: Config) -> int:
    """Returns the most images that can fit at once, if those of a batch cannot; 0 if they can, or if not even two can.

    That they do fit is not certain: the estimate is a lower bound of the memory.

    Args:
        config: the settings of the run.
    """
    replicas = config.devices.cpu_devices
    lower = -(-2 // replicas)
    upper = config.data.global_batch_size // config.devices.accumulate_steps // replicas
    if _can_fit(config, upper * replicas) or not _can_fit(config, lower * replicas):
        return 0
    while upper - lower > 1:
        middle = (lower + upper) // 2
        lower, upper = (middle, upper) if _can_fit(config, middle * replicas) else (lower, middle)
    return lower * replicas


def _can_fit(config: Config, images: int) -> bool:
    data = dataclasses.replace(config.data, global_batch_size=images)
    devices = dataclasses.replace(config.devices, accumulate_steps=1)
    try:
        check_memory(dataclasses.replace(config, data=data, devices=devices), config.devices.cpu_devices)
    except UsageError:
        return False
    return True


def data_set(asked: Asked) -> Outcome:
    """Opens the images of a run, and checks that they fill a batch. What they show is judged by an inspection.

    Args:
        asked: what is asked, of which the settings of the run count.
    """
    config = started(asked.run)
    images = images_of(config)
    order_of(config, images.source)
    sight = images.sight
    value = "; ".join(line.rstrip(".") for line in images.lines)
    if sight is not None and sight.constant:
        advice = "images of a single colour teach nothing; take them away, or look why they are read so (--alpha)"
        return Outcome("warn", value, advice)
    return Outcome("pass", value)


def chosen(asked: Asked) -> Outcome:
    """Chooses the settings of a run whose command names none, as train.py does, and gives the flags as facts.

    Args:
        asked: what is asked, with the values of the flags that are given as the fact `given`, and with
            `budget_minutes`.
    """
    config, flags = asked.run, list[str]()

    def keep(arguments: Sequence[str]) -> Config:
        flags.extend(arguments)
        return config

    given, budget = asked.facts.get("given", {}), asked.facts.get("budget_minutes", 0.0)
    ChosenSettings(keep, given, budget, writes=False)(config, images_of(config), strategy_of(config))
    return Outcome("pass", " ".join(flags), facts={"flags": flags})
