"""Checks whether the images of a run are read as quickly as they are computed with."""

import dataclasses
import math

from simsiam_tf.config.run import Config
from simsiam_tf.data.sources import listing_bad_images
from simsiam_tf.distribute.strategy import has_accelerator
from simsiam_tf.doctor.checks import Asked, Outcome
from simsiam_tf.doctor.opened import images_of, read_at_once, started, strategy_of
from simsiam_tf.host import usable_cores
from simsiam_tf.training.run_input import makes_views_on_device
from simsiam_tf.training.trial import seconds_of_input

# The share of an accelerator's time that may be waited, and of a CPU's that may go into reading.
_WAITING, _READING = 0.05, 0.5
_DECODING, _VIEWS, _FETCHING = "decoding the images", "making the views", "fetching the images"


@dataclasses.dataclass(frozen=True)
class Rates:
    """Holds what a step takes, in seconds.

    Attributes:
        computing: a step whose batch is in memory.
        reading: a batch, while nothing else is done.
        cause: what takes most of the reading, as a phrase.
        preparable: whether simsiam_tf.cli.prepare makes the reading quicker.
    """

    computing: float
    reading: float
    cause: str
    preparable: bool


def input_rate(asked: Asked) -> Outcome:
    """Measures how long a batch takes to read, and compares it with the step.

    Args:
        asked: what is asked, of which the settings of the run and the fact `step` count.
    """
    config = started(asked.run)
    strategy, images = strategy_of(config), images_of(config)
    replicas, batch = strategy.num_replicas_in_sync, config.data.global_batch_size
    some = read_at_once(config, replicas) * replicas
    small = _with_batch(config, some)
    on_device = makes_views_on_device(config, strategy)
    with listing_bad_images([images.source], None):
        reading = seconds_of_input(small, strategy, images) * batch / some
        decoding = reading
        if not on_device:
            bare = dataclasses.replace(small, augment=dataclasses.replace(config.augment, augment_on="device"))
            decoding = min(reading, seconds_of_input(bare, strategy, images) * batch / some)
    is_encoded = images.source.files is not None
    cause = _VIEWS if 2 * decoding < reading else _DECODING if is_encoded else _FETCHING
    preparable = cause == _DECODING and config.data.dataset != "shards"
    return judge(Rates(asked.facts["step"], reading, cause, preparable), has_accelerator(strategy), usable_cores())


def _with_batch(config: Config, batch: int) -> Config:
    data = dataclasses.replace(config.data, global_batch_size=batch)
    return dataclasses.replace(config, data=data, devices=dataclasses.replace(config.devices, accumulate_steps=1))


def judge(rates: Rates, accelerated: bool, cores: int) -> Outcome:
    """Judges the rates.

    Args:
        rates: what was measured.
        accelerated: whether GPUs or TPUs compute, beside which the CPU reads.
        cores: the number of CPU cores.
    """
    facts = {"reading": rates.reading}
    times = f"{rates.reading:.2g} s a batch, beside {rates.computing:.2g} s of computing"
    if accelerated:
        waiting = max(0.0, 1 - rates.computing / rates.reading)
        if waiting <= _WAITING:
            return Outcome("pass", times, facts=facts)
        more = max(1, math.ceil(cores * rates.reading / rates.computing) - cores)
        cure = f"{more} more core{'' if more == 1 else 's'}"
        cure += ", or simsiam_tf.cli.prepare," if rates.preparable else ""
        value = f"the accelerator will wait {waiting:.0%} of the time: {rates.cause}"
        return Outcome("warn", value, f"{cure} would cure it", facts)
    share = rates.reading / (rates.reading + rates.computing)
    if share <= _READING:
        return Outcome("pass", f"{times}, on the same cores", facts=facts)
    value = f"the CPU will spend {share:.0%} of the time on reading: {rates.cause}"
    if rates.preparable:
        advice = "simsiam_tf.cli.prepare makes the images smaller once, and would speed up reading"
    elif rates.cause == _VIEWS:
        advice = "a smaller --image_size, or --augmentation=simsiam_cifar, which does not blur, takes less"
    else:
        advice = "more cores would speed up both"
    return Outcome("warn", value, advice, facts)
