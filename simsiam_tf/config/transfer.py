"""Declares the settings of a transfer to detection: a detector that is fine-tuned from a backbone (Table 5)."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal

from simsiam_tf.config.detection_data import DetectionDataConfig
from simsiam_tf.config.detector import DetectorConfig
from simsiam_tf.config.devices import DeviceConfig
from simsiam_tf.config.fields import Integers, SettingsGroup, option
from simsiam_tf.config.run import TRACK_HELP, Track
from simsiam_tf.errors import check

# The format of the config.json of transfer.py.
TRANSFER_FORMAT = 1
# The value of --backbone for random weights.
NO_WEIGHTS = "none"


@dataclasses.dataclass(frozen=True)
class BackboneConfig(SettingsGroup):
    """Backbone."""

    backbone: str = option(
        "",
        "Weights that the backbone begins with: the folder of a run of train.py, a file as for --init_weights of "
        "train.py, or 'none' for random ones. The weights tell the architecture.",
        identity=False,  # compared as a path
    )
    arch: Literal["resnet18", "resnet34", "resnet50", "resnet101", "resnet152"] = option(
        "resnet50", "Architecture with --backbone=none."
    )
    width: float = option(1.0, "Multiplier of the number of channels with --backbone=none.", positive=True)
    stem: Literal["imagenet", "cifar"] = option(
        "imagenet", "Beginning of the network with --backbone=none: 'imagenet' (7x7, stride 2) or 'cifar' (3x3)."
    )

    def validate(self) -> None:
        """Checks that weights are named, or refused in so many words."""
        check(
            bool(self.backbone),
            "--backbone must name the weights to begin with: the folder of a run, a file, or none for random ones.",
            "no --backbone",
        )


@dataclasses.dataclass(frozen=True)
class FineTuningConfig(SettingsGroup):
    """Optimizer and learning rate."""

    learning_rate: float = option(0.02, "Learning rate, for --global_batch_size images in a step.", positive=True)
    milestones: Integers = option((18000, 22000), "Steps at which the learning rate is divided by 10.")
    warmup_steps: int = option(100, "Steps of the linear warm-up, from a thousandth of the learning rate.")
    sgd_momentum: float = option(0.9, "Momentum of SGD.")
    weight_decay: float = option(1e-4, "Coupled L2 weight decay of all but the scales and offsets of batch norm.")

    def validate(self) -> None:
        """Checks the limit of the momentum, and that the milestones rise."""
        check(self.sgd_momentum < 1, "--sgd_momentum must be below 1.", self.sgd_momentum)
        rising = list(self.milestones) == sorted(set(self.milestones))
        check(rising, "--milestones must be rising numbers of steps.", self.milestones)


@dataclasses.dataclass(frozen=True)
class TransferRunConfig(SettingsGroup):
    """Run length, evaluation and checkpoints."""

    workdir: str = option("", "Folder of the run: checkpoints, logs and results.", identity=False)
    seed: int = option(0, "Seed of the new layers, of the order and size of the images, and of the sampled regions.")
    steps: int = option(24000, "Steps of the whole run.", positive=True)
    log_every_steps: int = option(
        100, "Steps that each line of metrics.jsonl is the mean of. It divides --steps.", positive=True
    )
    eval_every_steps: int = option(
        0, "Steps between two evaluations, a multiple of --log_every_steps; 0: only at the end.", identity=False
    )
    eval_batch_size: int = option(1, "Images in a batch of an evaluation.", positive=True, identity=False)
    eval_examples: int = option(0, "Number of images to evaluate on, the first ones of the split; 0: all.")
    metric: Literal["auto", "coco", "voc07", "voc12"] = option(
        "auto",
        "Average precision as 'coco' has it; as 'voc07' (11 points of the recall) or 'voc12' (the area). 'auto': that "
        "of the data set.",
    )
    precise_bn_batches: int = option(
        200,
        "Training batches by which the statistics of batch norm are estimated before an evaluation; 0: none.",
        identity=False,
    )
    save_every_steps: int = option(0, "Number of steps between two additional checkpoints; 0: none.", identity=False)
    save_every_minutes: float = option(10.0, "Minutes between two additional checkpoints; 0: none.", identity=False)
    keep_checkpoints: int = option(1, "Number of checkpoints to keep.", identity=False)
    resume: bool = option(True, "Continue an interrupted run in --workdir.", identity=False)
    track: Track = option("none", TRACK_HELP, identity=False, absent="none")

    def validate(self) -> None:
        """Checks that a folder is named, the limits of the seed, and that the periods divide the run."""
        check(bool(self.workdir), "--workdir must name a folder for the run's results.", "none")
        check(self.seed < 2**31, "--seed must be below 2**31.", self.seed)
        check(self.keep_checkpoints >= 1, "--keep_checkpoints must be at least 1.", self.keep_checkpoints)
        every = self.log_every_steps
        check(self.steps % every == 0, f"--steps must be a multiple of --log_every_steps ({every}).", self.steps)
        check(
            self.eval_every_steps % every == 0,
            f"--eval_every_steps must be a multiple of --log_every_steps ({every}).",
            self.eval_every_steps,
        )


@dataclasses.dataclass(frozen=True)
class TransferConfig:
    """Holds all settings of a run of transfer.py.

    Attributes:
        backbone: the settings of the backbone.
        detector: the settings of the detector.
        optimizer: the settings of the optimizer.
        data: the settings of the images and their objects.
        devices: the settings of the devices.
        run: the settings of the run's length, evaluation and checkpoints.
        recipe: the name of the recipe that the settings came from, for the record.

    Raises:
        UsageError: if settings of different groups contradict each other.
    """

    backbone: BackboneConfig
    detector: DetectorConfig
    optimizer: FineTuningConfig
    data: DetectionDataConfig
    devices: DeviceConfig
    run: TransferRunConfig
    recipe: str = ""

    def __post_init__(self) -> None:
        late = [step for step in self.optimizer.milestones if step >= self.run.steps]
        check(not late, f"--milestones must be below --steps ({self.run.steps}).", late and late[0])
        check(
            self.optimizer.warmup_steps <= self.run.steps,
            f"--warmup_steps must not exceed --steps ({self.run.steps}).",
            self.optimizer.warmup_steps,
        )

    def identity(self) -> dict[str, Any]:
        """Returns the settings that identify a run; a workdir can only be resumed if they are equal."""
        groups = (getattr(self, name) for name in TRANSFER_GROUPS)
        return {s.name: getattr(group, s.name) for group in groups for s in group.settings() if s.identity}

    def to_dict(self) -> dict[str, Any]:
        """Returns the settings as nested dictionaries of plain values, for config.json."""
        return {**{name: getattr(self, name).values() for name in TRANSFER_GROUPS}, "recipe": self.recipe}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "TransferConfig":
        """Makes a configuration from the result of `to_dict`, of this version or an older one.

        Raises:
            UsageError: if a group of settings is missing, or a setting is unknown, as in a file of a newer version.
        """
        groups: dict[str, Any] = {}
        for name, group in TRANSFER_GROUPS.items():
            check(name in values, "config.json must be one that transfer.py wrote.", f"no {name!r} in it")
            unknown = sorted(set(values[name]) - {setting.name for setting in group.settings()})
            check(not unknown, "config.json holds settings that this version does not know.", ", ".join(unknown))
            plain = {k: tuple(v) if isinstance(v, list) else v for k, v in values[name].items()}
            groups[name] = group.from_file(plain)
        return cls(**groups, recipe=values.get("recipe", ""))


# The groups of settings, by their keys in config.json.
TRANSFER_GROUPS: dict[str, type[SettingsGroup]] = {
    "backbone": BackboneConfig,
    "detector": DetectorConfig,
    "optimizer": FineTuningConfig,
    "data": DetectionDataConfig,
    "devices": DeviceConfig,
    "run": TransferRunConfig,
}
