"""Every setting of a run, as frozen dataclasses that are validated on construction.

The command-line flags are made from these fields (flags/definitions.py), so a setting's name, default,
choices and explanation stand here and nowhere else.
"""

import dataclasses
from typing import Any

from simsiam_tf.config.augment import AugmentConfig
from simsiam_tf.config.data import DataConfig
from simsiam_tf.config.devices import DeviceConfig
from simsiam_tf.config.fields import Validated, option
from simsiam_tf.config.model import ModelConfig
from simsiam_tf.config.optimizer import OptimizerConfig
from simsiam_tf.errors import check


@dataclasses.dataclass(frozen=True)
class RunConfig(Validated):
    """How long, and what is kept."""

    workdir: str = option("", "Folder of the run: checkpoints, logs and results.", identity=False)
    seed: int = option(0, "Seed of the initial weights, the order of the images and their views.")
    epochs: int = option(100, "Passes over the images, times --epochs_scale.")
    save_every_steps: int = option(0, "Save each so many steps, besides at each epoch's end.", identity=False)
    save_every_minutes: float = option(10.0, "Save at least this often; 0: off.", identity=False)
    keep_checkpoints: int = option(3, "Checkpoints that are kept.", identity=False)
    resume: bool = option(True, "Continue an interrupted run in --workdir.", identity=False)
    knn_every_epochs: int = option(1, "kNN monitor each so many epochs, and at the end; 0: never.", identity=False)
    knn_max_examples: int = option(0, "Images in the kNN monitor's bank; 0: all.")

    def validate(self):
        check(bool(self.workdir), "--workdir must name a folder for the run's results.", "none")
        check(self.epochs > 0, "--epochs must be positive.", self.epochs)
        check(self.seed < 2**31, "--seed must be below 2**31.", self.seed)
        check(self.keep_checkpoints >= 1, "--keep_checkpoints must be at least 1.", self.keep_checkpoints)


@dataclasses.dataclass(frozen=True)
class Config:
    """A pre-training run.

    Attributes:
        recipe: the name of the recipe that it came from, for the record.
    """

    model: ModelConfig
    optimizer: OptimizerConfig
    data: DataConfig
    augment: AugmentConfig
    devices: DeviceConfig
    run: RunConfig
    recipe: str = ""

    def __post_init__(self):
        check(
            self.optimizer.warmup_epochs <= self.run.epochs,
            f"--warmup_epochs must not exceed --epochs ({self.run.epochs}).",
            self.optimizer.warmup_epochs,
        )
        start = self.model.queue_from_epoch
        check(
            start is None or not self.model.queue_size or start < self.run.epochs,
            f"--queue_from_epoch must be below --epochs ({self.run.epochs}), or SwAV's queue is never used.",
            start,
        )
        small, method = self.augment.small_views, self.model.method
        check(method == "swav" or small == 0, f"--small_views go with --method=swav, not with {method}.", small)

    def identity(self) -> dict[str, Any]:
        """The settings that make this run another than one that differs in them."""
        return {
            field.name: getattr(group, field.name)
            for group in (self.model, self.optimizer, self.data, self.augment, self.devices, self.run)
            for field in dataclasses.fields(group)
            if field.metadata["identity"]
        }

    def to_dict(self) -> dict[str, Any]:
        """Nested plain values, for config.json."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Config":
        """The inverse of `to_dict`.

        Raises:
            UsageError: if a setting is unknown, as in a file from another version.
        """
        groups = {}
        for field in dataclasses.fields(cls):
            check(field.name in values, "config.json must be one that train.py wrote.", f"no {field.name!r} in it")
            value = values[field.name]
            if field.name != "recipe":
                known = {f.name for f in dataclasses.fields(CONFIG_GROUPS[field.name])}
                unknown = sorted(set(value) - known)
                check(not unknown, "config.json holds settings that this version does not know.", ", ".join(unknown))
                value = {k: tuple(v) if isinstance(v, list) else v for k, v in value.items()}
                value = CONFIG_GROUPS[field.name](**value)
            groups[field.name] = value
        return cls(**groups)


CONFIG_GROUPS: dict[str, Any] = {
    "model": ModelConfig,
    "optimizer": OptimizerConfig,
    "data": DataConfig,
    "augment": AugmentConfig,
    "devices": DeviceConfig,
    "run": RunConfig,
}


def resolve_stem(model: ModelConfig, image_size: int) -> bool:
    """Whether the backbone gets the CIFAR stem."""
    return model.stem == "cifar" or (model.stem == "auto" and image_size <= 64)
