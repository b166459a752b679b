"""Chooses the settings of a run that names no recipe, or reads those that were chosen for it before."""

import dataclasses
import logging
import pathlib
import re
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import tensorflow as tf

from simsiam_tf.config.run import Config
from simsiam_tf.distribute.strategy import has_accelerator
from simsiam_tf.errors import UsageError, check
from simsiam_tf.files import check_bucket, exists, is_in_bucket, local_copy, read_regular, user_path, write_text
from simsiam_tf.host import usable_cores
from simsiam_tf.progress import duration
from simsiam_tf.training.choice import SIZES, Choice, Situation, choose, default_size
from simsiam_tf.training.given_weights import network_flags, open_given
from simsiam_tf.training.opened_run import OpenedImages, refuse_what_cannot_be_computed
from simsiam_tf.training.trial import measure
from simsiam_tf.training.workdir import Workdir

_log = logging.getLogger(__name__)

RECIPE = "chosen"
# A size is good enough for a budget that allows this share of the epochs that it has without one.
_ENOUGH = 0.25
_MOST_EPOCHS = 800
# The line of `chosen.flags` that names the number of images.
_COUNT = re.compile(r"^# For (\d{1,18}) images\.$", re.M)
# GPUs compute quickly in bfloat16 from this compute capability on.
_FIRST_WITH_BFLOAT16 = (8, 0)


@dataclasses.dataclass(frozen=True)
class ChosenSettings:
    """Chooses the settings of a run from its images and the machine.

    The choice is printed, and written to `chosen.flags` in the folder of the run. If the folder has that file already,
    the settings are read from it and not chosen anew.

    Attributes:
        parse: a function that makes the settings from flags that the command line may override.
        given: the values of the flags that the command line gives, by name.
        budget_minutes: the time that the whole run may take; 0 sets no limit.
        writes: whether the choice is written.
        start: the time at which the command started, by `time.monotonic`.

    Example:
        pretrain(config, choose=ChosenSettings(parse, {}, budget_minutes=60))
    """

    parse: Callable[[Sequence[str]], Config]
    given: Mapping[str, Any]
    budget_minutes: float = 0.0
    writes: bool = True
    start: float = dataclasses.field(default_factory=time.monotonic)

    def __call__(self, config: Config, images: OpenedImages, strategy: tf.distribute.Strategy) -> Config:
        """Returns the settings of the run.

        Args:
            config: the settings of the command line.
            images: the images of the run.
            strategy: the distribution strategy of the run.

        Raises:
            UsageError: if several machines would train the run, if the budget is too short, or if `chosen.flags` is
                damaged.
        """
        if isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
            raise UsageError(
                "Several machines need the same settings; name a recipe, such as a chosen.flags of one machine, by "
                "--flagfile. Received: a command without --flagfile."
            )
        root = user_path(config.run.workdir)
        check_bucket(root)
        path = root / "chosen.flags"
        is_begun, count = exists(root / "config.json"), images.source.num_examples
        if exists(path) and (is_begun or not _is_of_others(path, count)):
            return self._read(path)
        if is_begun:
            return config  # the run was started before settings were chosen
        least = 2 * strategy.num_replicas_in_sync
        check(count >= least, f"Training needs {least} images or more.", f"{count} in {images.source.name}")
        if self.writes:
            Workdir(root).check_writable()  # before anything is measured
        weights = network_flags(open_given(config.run.init_weights)) if config.run.init_weights else {}
        situation = dataclasses.replace(_situation(images, strategy), weights=weights)
        choices = choose(situation, self.given)
        if self.budget_minutes:
            choices = self._within_budget(situation, images, strategy)
        self._print(choices)
        # What is refused leaves no choice behind that a later command with other images would take.
        refuse_what_cannot_be_computed(self._settings(choices), strategy)
        if self.writes:
            write_text(path, _text(choices, count))
            again = "A copy of it" if is_in_bucket(path) else f"--flagfile={path}"
            _log.info(f"Wrote {path}: the choice. {again} repeats it in another --workdir.")
        return self._settings(choices)

    def _read(self, path: pathlib.Path) -> Config:
        _log.info(f"The settings are those of {path}, which were chosen before.")
        if self.budget_minutes:
            _log.warning("--budget_minutes is not used: the settings of this run were chosen before.")
        with local_copy(path) as file:
            return self.parse([f"--flagfile={file}"])

    def _settings(self, choices: Sequence[Choice]) -> Config:
        flags = [argument for choice in choices for argument in choice.arguments]
        return dataclasses.replace(self.parse(flags), recipe=RECIPE)

    def _print(self, choices: Sequence[Choice]) -> None:
        _log.info("The command names no recipe, so these settings were chosen (a flag of yours replaces one):")
        for choice in choices:
            _log.info(f"  {' '.join(choice.arguments)}: {choice.reason}.")

    def _within_budget(
        self, situation: Situation, images: OpenedImages, strategy: tf.distribute.Strategy
    ) -> list[Choice]:
        """Chooses the first size that the budget allows to train for long enough, and the number of its epochs."""
        usual = self._settings(choose(situation, self.given)).run.epochs
        enough = self.given.get("epochs", max(1, round(_ENOUGH * usual)))
        for size in range(default_size(situation), len(SIZES)):
            config = self._settings(choose(situation, self.given, size))
            refuse_what_cannot_be_computed(config, strategy)
            trial = measure(config, strategy, images)
            left = 60 * self.budget_minutes - (time.monotonic() - self.start)
            epochs = trial.epochs_within(left, config, images)
            # Another number of epochs has another number of measurements.
            config = self._settings(choose(situation, self.given, size, max(1, epochs)))
            epochs = min(_MOST_EPOCHS, trial.epochs_within(left, config, images))
            if epochs >= (enough if size + 1 < len(SIZES) else self.given.get("epochs", 1)):
                return choose(situation, self.given, size, epochs)
        least = self.given.get("epochs", 1)
        so_far = time.monotonic() - self.start
        needed = trial.seconds(config, images, least) + so_far
        raise UsageError(
            f"--budget_minutes must allow {least} epoch{'s' if least > 1 else ''} of {images.source.num_examples} "
            f"images with the smallest network, about {duration(needed)}, of which the start and the measurements took "
            f"{duration(so_far)}. Received: {self.budget_minutes:g}."
        )


def _situation(images: OpenedImages, strategy: tf.distribute.Strategy) -> Situation:
    """Returns what the choice depends on."""
    gpus = tf.config.list_physical_devices("GPU")
    kind = "" if not has_accelerator(strategy) else "TPU" if isinstance(strategy, tf.distribute.TPUStrategy) else "GPU"
    sides = images.sight.sides if images.sight else []
    return Situation(
        images=images.source.num_examples,
        side=int(statistics.median(sides)) if sides else SIZES[0].image_size,
        has_labels=not images.data.lacks,
        accelerators=kind,
        replicas=strategy.num_replicas_in_sync,
        cores=usable_cores(),
        computes_bfloat16=kind == "TPU" or (kind == "GPU" and all(map(_has_bfloat16, gpus))),
    )


def _has_bfloat16(gpu: tf.config.PhysicalDevice) -> bool:
    capability = tf.config.experimental.get_device_details(gpu).get("compute_capability")
    return capability is not None and tuple(capability) >= _FIRST_WITH_BFLOAT16


def _is_of_others(path: pathlib.Path, count: int) -> bool:
    """Returns whether a choice with which no run was begun is for another number of images, and says so."""
    try:
        with local_copy(path) as file:
            found = _COUNT.search(read_regular(file).decode(errors="replace"))
    except OSError:  # the parser says what is wrong with the file
        return False
    is_of_others = found is not None and int(found[1]) != count
    if is_of_others:
        _log.info(f"{path} is for other images, and no run was begun with it; the settings are chosen anew.")
    return is_of_others


def _text(choices: Sequence[Choice], count: int) -> str:
    """Returns the content of `chosen.flags`: each choice, below its reason, for a number of images."""
    lines = ["# Settings that train.py chose, because the command named no recipe.", f"# For {count} images."]
    for choice in choices:
        lines += [f"# {choice.reason}", *choice.arguments]
    return "\n".join(lines) + "\n"
