"""Makes the folder of a run from a file of weights: evaluate.py judges it, and `simsiam_tf.load` opens it."""

import dataclasses
import logging
import pathlib
from collections.abc import Mapping
from typing import Any

import keras

from simsiam_tf.config.augment import AugmentConfig
from simsiam_tf.config.data import DataConfig
from simsiam_tf.config.devices import DeviceConfig
from simsiam_tf.config.messages import RESULT
from simsiam_tf.config.model import ModelConfig
from simsiam_tf.config.optimizer import OptimizerConfig
from simsiam_tf.config.run import FORMAT, Config, RunConfig
from simsiam_tf.distribute.strategy import ONE_DEVICE
from simsiam_tf.errors import UsageError
from simsiam_tf.files import exists, is_folder, replacing_folder, user_path, write_json
from simsiam_tf.training import factory
from simsiam_tf.training.checkpoints import Checkpoints
from simsiam_tf.training.environment import environment
from simsiam_tf.training.given_weights import network_flags, open_given
from simsiam_tf.training.kept_settings import portable
from simsiam_tf.training.workdir import record

_log = logging.getLogger(__name__)

_RECIPE = "converted"


def convert(source: str, to: str, arch: str = "", data: Mapping[str, Any] | None = None) -> None:
    """Makes the folder of a run from a file of weights.

    The folder has a config.json, a checkpoint and a summary.json. Its network is the one that the names and the shapes
    of the weights tell. Heads that the file does not hold are random.

    Args:
        source: the file, as for `--init_weights`.
        to: the folder to make, which must not exist.
        arch: the value of `--arch` that is expected; any if empty.
        data: the settings of `DataConfig` by name, as far as they are given. By default they are those of ImageNet, or
            of CIFAR-10 for the stem of small images.

    Raises:
        UsageError: if the weights cannot be read or are of another architecture, or if the folder exists.

    Example:
        convert("checkpoint_0099.pth.tar", "runs/authors")
    """
    root = user_path(to)
    if exists(root):
        raise UsageError(f"--to exists and is not overwritten; name another folder. Received: {root}.")
    if is_folder(user_path(source)) and exists(user_path(source) / "checkpoints"):
        raise UsageError(f"--from is a run already, which evaluate.py takes as its --workdir. Received: {source}.")
    try:
        given = open_given(source)
        flags = network_flags(given)
    except UsageError as error:  # which names the flag of train.py
        raise UsageError(str(error).replace("--init_weights", "--from")) from error
    if arch and arch != flags["arch"]:
        raise UsageError(f"--arch must be {flags['arch']}, of which the weights are. Received: {arch}.")
    usual = {"dataset": "cifar10", "image_size": 32} if flags["stem"] == "cifar" else {"dataset": "imagenet2012"}
    config = Config(
        model=ModelConfig.from_values({"method": "simsiam", **flags}),
        optimizer=OptimizerConfig(),
        data=dataclasses.replace(DataConfig(), **{**usual, **(data or {})}),
        augment=AugmentConfig(),
        devices=DeviceConfig(),
        run=RunConfig(workdir=to, init_weights=source),
        recipe=_RECIPE,
    )
    keras.utils.set_random_seed(config.run.seed)
    factory.set_precision("float32")
    model = factory.make_compiled_model(config, steps_per_epoch=1)
    taken = given.assign_to(model)
    with replacing_folder(root) as draft:
        _write(draft, model, config, taken)
    _log.info(taken)
    _log.log(
        RESULT,
        f"Done: {root} has the weights as a run of {config.model.arch}, for {config.data.dataset} at "
        f"{config.data.image_size} pixels; judge them by evaluate.py --workdir={root}.",
    )


def _write(folder: pathlib.Path, model: Any, config: Config, taken: str) -> None:
    content = {"format": FORMAT, "config": portable(config), "initial_weights": taken, **environment()}
    write_json(folder / "config.json", content)
    Checkpoints(model, ONE_DEVICE, folder / "checkpoints", keep=1).save()
    write_json(folder / "summary.json", {"converted": record(taken, of="python -m simsiam_tf.cli.convert")})
