"""Joins all settings of a run in one configuration, and declares those of its length and checkpoints.

The command-line flags are made from the fields of these dataclasses (simsiam_tf/cli/flags.py). The name, default,
choices and explanation of a setting are therefore written only once, in this folder.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal

from simsiam_tf.config.augment import AugmentConfig
from simsiam_tf.config.data import DataConfig
from simsiam_tf.config.devices import DeviceConfig
from simsiam_tf.config.fields import SettingsGroup, option
from simsiam_tf.config.methods import SwAVConfig
from simsiam_tf.config.model import ModelConfig
from simsiam_tf.config.optimizer import OptimizerConfig
from simsiam_tf.errors import check

# The format of config.json. Files of format 1 have no "format". Settings added since then declare what a file without
# them means (`absent` in fields.py).
FORMAT = 2
OnCollapse = Literal["warn", "stop", "ignore"]
Track = Literal["none", "wandb", "mlflow"]
TRACK_HELP = (
    "Where the settings and numbers of the run are also sent to: 'wandb', Weights & Biases, or 'mlflow', whose "
    "packages must be installed; or 'none'."
)
# The number of neighbours that the kNN monitor chooses from a larger set.
KNN_BANK = 50_000


@dataclasses.dataclass(frozen=True)
class RunConfig(SettingsGroup):
    """Run length and checkpoints."""

    workdir: str = option("", "Folder of the run: checkpoints, logs and results.", identity=False)
    seed: int = option(0, "Seed of the initial weights, of the order of the images and of their views.")
    init_weights: str = option(
        "",
        "Weights that a new run begins with, in place of random ones: the folder of another run, or a file .keras, "
        ".safetensors, .pth or .pth.tar, with the names of torchvision, timm, the authors' SimSiam, MoCo, solo-learn, "
        "lightly or mmselfsup. The heads are taken too if they fit.",
        identity=False,  # compared as a path, in training/kept_settings.py
        absent="",
    )
    epochs: int = option(100, "Passes over the images; multiplied by --epochs_scale.", positive=True)
    save_every_steps: int = option(0, "Number of steps between two additional checkpoints; 0: none.", identity=False)
    save_every_minutes: float = option(10.0, "Minutes between two additional checkpoints; 0: none.", identity=False)
    keep_checkpoints: int = option(3, "Number of checkpoints to keep.", identity=False)
    resume: bool = option(True, "Continue an interrupted run in --workdir.", identity=False)
    on_collapse: OnCollapse = option(
        "warn",
        "What to do when the run is seen to go wrong, as by a collapse or a loss that stands still: 'warn', in words "
        "that say what was measured and what to try; 'stop', which warns, saves and exits with code 3; or 'ignore'.",
        identity=False,
        absent="warn",
    )
    max_skipped_steps: int = option(
        0,
        "Number of steps that may be left out because their loss or gradient is not finite. One more ends the run, "
        "with exit code 3.",
        identity=False,
        absent=0,
    )
    track: Track = option("none", TRACK_HELP, identity=False, absent="none")
    knn_every_epochs: int = option(
        1, "Epochs between two runs of the kNN monitor, which also runs after the last epoch; 0: never.", identity=False
    )
    knn_max_examples: int = option(
        0,
        f"Number of training images that are neighbours in the kNN monitor, the same number of each class; 0: all, or "
        f"{KNN_BANK:,} of a larger set.",
    )

    def validate(self) -> None:
        """Checks that a folder is named, and the limits of the seed and the number of checkpoints."""
        check(bool(self.workdir), "--workdir must name a folder for the run's results.", "none")
        check(self.seed < 2**31, "--seed must be below 2**31.", self.seed)
        check(self.keep_checkpoints >= 1, "--keep_checkpoints must be at least 1.", self.keep_checkpoints)


@dataclasses.dataclass(frozen=True)
class Config:
    """Holds all settings of a pre-training run.

    Attributes:
        model: the settings of the method and its networks.
        optimizer: the settings of the optimizer and its learning rates.
        data: the settings of the images.
        augment: the settings of the random views.
        devices: the settings of the devices.
        run: the settings of the run's length and checkpoints.
        recipe: the name of the recipe that the settings came from, for the record.

    Raises:
        UsageError: if settings of different groups contradict each other.
    """

    model: ModelConfig
    optimizer: OptimizerConfig
    data: DataConfig
    augment: AugmentConfig
    devices: DeviceConfig
    run: RunConfig
    recipe: str = ""

    def __post_init__(self) -> None:
        check(
            self.optimizer.warmup_epochs <= self.run.epochs,
            f"--warmup_epochs must not exceed --epochs ({self.run.epochs}).",
            self.optimizer.warmup_epochs,
        )
        check(
            self.devices.cpu_devices <= self.data.global_batch_size,
            f"--cpu_devices must not exceed --global_batch_size ({self.data.global_batch_size}).",
            self.devices.cpu_devices,
        )
        method = self.model.of_method
        if isinstance(method, SwAVConfig):
            check(
                not method.queue_size or method.queue_from_epoch < self.run.epochs,
                f"--queue_from_epoch must be below --epochs ({self.run.epochs}), or SwAV's queue is never used.",
                method.queue_from_epoch,
            )
        small = self.augment.small_views
        check(
            isinstance(method, SwAVConfig) or small == 0,
            f"--small_views go with --method=swav, not with {method.method}.",
            small,
        )

    @property
    def groups(self) -> dict[str, SettingsGroup]:
        """Returns the groups of settings, by their keys in config.json."""
        return {name: getattr(self, name) for name in CONFIG_GROUPS}

    def identity(self) -> dict[str, Any]:
        """Returns the settings that identify a run; a workdir can only be resumed if they are equal.

        The keys are the same for every method. A setting that the method does not have is `None`.
        """
        identity: dict[str, Any] = {}
        for group in self.groups.values():
            values = group.values()
            identity |= {setting.name: values[setting.name] for setting in group.settings() if setting.identity}
        identity["input"] = "tensorflow" if self.data.reads_blocks else "python"
        return identity

    def to_dict(self) -> dict[str, Any]:
        """Returns the settings as nested dictionaries of plain values, for config.json."""
        return {**{name: group.values() for name, group in self.groups.items()}, "recipe": self.recipe}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Config":
        """Makes a configuration from the result of `to_dict`, of this version or an older one.

        A setting that is newer than the file gets the value that describes what the older version did (`absent` in
        fields.py), which may differ from today's default.

        Args:
            values: the result of `to_dict`.

        Raises:
            UsageError: if a group of settings is missing, or a setting is unknown, as in a file of a newer version.
        """
        for name in (*CONFIG_GROUPS, "recipe"):
            check(name in values, "config.json must be one that train.py wrote.", f"no {name!r} in it")
        groups = {name: _group_from_file(group, values[name]) for name, group in CONFIG_GROUPS.items()}
        return cls(**groups, recipe=values["recipe"])


def _group_from_file(group: type[SettingsGroup], values: Mapping[str, Any]) -> Any:
    unknown = sorted(set(values) - {setting.name for setting in group.settings()})
    check(not unknown, "config.json holds settings that this version does not know.", ", ".join(unknown))
    return group.from_file({k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})


# The groups of settings, by their keys in config.json.
CONFIG_GROUPS: dict[str, type[SettingsGroup]] = {
    "model": ModelConfig,
    "optimizer": OptimizerConfig,
    "data": DataConfig,
    "augment": AugmentConfig,
    "devices": DeviceConfig,
    "run": RunConfig,
}


def resolve_stem(model: ModelConfig, image_size: int) -> bool:
    """Returns whether the backbone gets the CIFAR stem (App. D).

    Args:
        model: the settings of the networks.
        image_size: the side of the views, in pixels.
    """
    return model.stem == "cifar" or (model.stem == "auto" and image_size <= 64)
