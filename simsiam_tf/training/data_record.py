"""Keeps a run to its images: records which they are, and notices when they change."""

import dataclasses
import logging
import pathlib
from typing import Literal

from simsiam_tf.config.data import DataConfig
from simsiam_tf.config.run import KNN_BANK, Config
from simsiam_tf.data.dataset import DataSet
from simsiam_tf.data.order import ShuffledOrder
from simsiam_tf.data.overview import describe_change, identity
from simsiam_tf.data.sources import Source
from simsiam_tf.errors import UsageError
from simsiam_tf.files import user_path, write_json
from simsiam_tf.training.checkpoint_files import saved_checkpoints, step_of
from simsiam_tf.training.run_files import read_json
from simsiam_tf.training.workdir import Workdir

_log = logging.getLogger(__name__)

_HELD_OUT = "holdout.json"


def held_out_by(root: pathlib.Path) -> frozenset[str] | None:
    """Reads which images a run holds out for evaluation; `None` if its folder does not say it.

    What an attempt without a checkpoint has held out does not count: the next attempt may hold out another share.

    Args:
        root: the folder of the run.

    Raises:
        UsageError: if the record is damaged.
    """
    path = root / _HELD_OUT
    if not has_checkpoints(root):
        return None
    try:
        names = read_json(path)
        if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
            raise ValueError("it does not hold the names of images")
        return frozenset(names)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise UsageError(f"{_HELD_OUT} must be one that train.py wrote. Received: {path} ({error}).") from error


def knn_bank_rule(root: pathlib.Path) -> Literal["balanced", "first"]:
    """Returns how a run chooses the images that vote in its kNN monitor.

    Args:
        root: the folder of the run.

    Returns:
        `balanced`: the same number of each class, `KNN_BANK` of a larger set. `first`: all images, or the first ones,
        in a run that is older than this rule.
    """
    if not has_checkpoints(root):
        return "balanced"
    try:
        return read_json(root / "config.json").get("resolved", {}).get("knn_bank", "first")
    except (OSError, ValueError, AttributeError):  # damaged: it is refused later
        return "balanced"


def knn_bank(config: Config, labelled: Source) -> Source:
    """Returns the images that vote in the kNN monitor of a run.

    Args:
        config: the settings of the run.
        labelled: the labelled training images.
    """
    count = config.run.knn_max_examples
    if knn_bank_rule(user_path(config.run.workdir)) == "first":
        return labelled.first(count)
    return labelled.balanced(count or KNN_BANK)


def as_started(config: Config) -> Config:
    """Gives a run that is older than some settings of its images what it did before they existed.

    Args:
        config: the settings of the command line.

    Returns:
        The same settings, unless the folder holds an older run. Then those that its config.json does not hold, and that
        have their default now, have the value that describes what the run did.
    """
    try:
        held = read_json(user_path(config.run.workdir) / "config.json")["config"]["data"]
    except (OSError, ValueError, KeyError, TypeError):  # no run, or a damaged one, which is refused later
        return config
    if not isinstance(held, dict):  # damaged, which is refused later
        return config
    newer = [setting for setting in DataConfig.settings() if setting.name not in held]
    changed = {
        setting.name: setting.absent
        for setting in newer
        if setting.absent != setting.default == getattr(config.data, setting.name)
    }
    if not changed:
        return config
    _log.info(
        f"This run is older than some settings; it goes on with {', '.join(f'--{k}={v}' for k, v in changed.items())}."
    )
    return dataclasses.replace(config, data=dataclasses.replace(config.data, **changed))


def compare_data(
    config: Config, workdir: Workdir, data: DataSet, order: ShuffledOrder, lines: list[str]
) -> ShuffledOrder:
    """Compares the images with those that the run began with, and records them.

    Args:
        config: the settings of the run.
        workdir: the folder of the run.
        data: the data set.
        order: the order of its training images.
        lines: the overview of the data set, for the record.

    Returns:
        The order of the images. If they were changed, its epochs have as many steps as before.

    Raises:
        UsageError: if they are others, unless `--data_changed=continue` allows it.
    """
    saved = saved_checkpoints(workdir.checkpoints)
    now, before, step = identity(data), workdir.data(), step_of(saved[0]) if saved else 0
    changed = describe_change(before, {**now, "trained_on": order.num_examples}) if before and step else ""
    steps = _steps_per_epoch(workdir) if step else None
    if changed:
        if config.data.data_changed != "continue":
            raise UsageError(
                "The images are not those that the run began with; give another --workdir, or --data_changed=continue "
                f"to go on with them (--index=rebuild looks at a large folder anew). Received: {changed}."
            )
        if config.model.of_method.remembers_images:
            raise UsageError(
                "--eta_momentum and --alternation_steps remember each image, and cannot go on with others. "
                f"Received: {changed}."
            )
        _log.warning(f"the images were changed ({changed}); step {step + 1} is the first that shows the new ones.")
    elif before and step and "fingerprint" not in before:
        _log.info("This run did not record which images it trains on; they are taken for the same, and recorded now.")
    workdir.record_data({**now, "overview": lines})
    if data.held_out and held_out_by(workdir.root) is None:
        write_json(workdir.root / _HELD_OUT, data.held_out)
    return dataclasses.replace(order, epoch_steps=steps) if steps not in (None, order.steps_per_epoch) else order


def _steps_per_epoch(workdir: Workdir) -> int | None:
    """Reads the number of steps in an epoch of the run that the folder holds."""
    return workdir.resolved().get("steps_per_epoch")


def has_checkpoints(root: pathlib.Path) -> bool:
    """Returns whether a folder holds a checkpoint of a run."""
    try:
        return bool(saved_checkpoints(root / "checkpoints"))
    except OSError:  # such as a name that is too long, which is refused when the folder is opened
        return False
