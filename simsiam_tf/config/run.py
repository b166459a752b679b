"""Every setting of a run, as frozen dataclasses that are validated on construction.

The command-line flags are made from these fields (flags/definitions.py), so a setting's name, default,
choices and explanation stand here and nowhere else.
"""

import dataclasses
from typing import Any

from simsiam_tf.augment.config import AugmentConfig
from simsiam_tf.data.config import DataConfig
from simsiam_tf.model_config import ModelConfig
from simsiam_tf.settings import Validated, check, option


@dataclasses.dataclass(frozen=True)
class OptimizerConfig(Validated):
    """The optimizer and its schedule (Sec. 3)."""

    optimizer: str = option(
        "sgd", "'sgd', or 'lars', with which SimCLR, BYOL and SwAV take batches of 4096 (Sec. 6.1).", ("sgd", "lars")
    )
    lars_exclude: bool = option(
        True, "LARS neither scales nor decays biases and batch norm's parameters, as in SimCLR and BYOL; SwAV's does."
    )
    base_learning_rate: float = option(0.05, "Learning rate per 256 images; scaled by the batch size.")
    sgd_momentum: float = option(0.9, "Momentum of the optimizer.")
    weight_decay: float = option(1e-4, "Coupled L2 on every parameter; but see --lars_exclude.")
    warmup_epochs: float = option(
        0.0, "Epochs of linear warm-up, times --epochs_scale; 10 for batches from 1024 and for Table 3a."
    )
    lr_decay: str = option(
        "step", "Cosine decay at each 'step', or at each 'epoch' as in the release.", ("step", "epoch")
    )
    final_learning_rate: float = option(0.0, "What the decay ends at, as a share of the peak; SwAV: 0.001.")
    predictor_lr: str = option(
        "constant",
        "The predictor's learning rate: 'constant' (Table 1c, and from Sec. 4.2 on) or 'decay' with the rest.",
        ("constant", "decay"),
    )
    predictor_lr_multiplier: float = option(1.0, "Multiplier of the predictor's learning rate.")

    def validate(self):
        check(self.base_learning_rate > 0, "--base_learning_rate must be positive.", self.base_learning_rate)
        check(self.final_learning_rate <= 1, "--final_learning_rate must be at most 1.", self.final_learning_rate)
        check(self.sgd_momentum < 1, "--sgd_momentum must be below 1.", self.sgd_momentum)


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
class DeviceConfig(Validated):
    """What it runs on, and how."""

    strategy: str = option(
        "auto",
        "Devices: 'one', 'mirrored' (every GPU of this machine), 'multiworker' (several machines, which TF_CONFIG "
        "names), 'tpu', or 'auto': what --tpu, TF_CONFIG, --cpu_devices and the GPUs suggest.",
        ("auto", "one", "mirrored", "multiworker", "tpu"),
        identity=False,
    )
    tpu: str = option("", "Name of the Cloud TPU, or 'local'.", identity=False)
    cpu_devices: int = option(1, "Logical devices made of the CPU, to try several replicas.", identity=False)
    precision: str = option(
        "float32",
        "Arithmetic. 'bfloat16' and 'float16' are mixed, with float32 weights, statistics and loss; 'float16' scales "
        "the loss. 'float64' is for checks.",
        ("float64", "float32", "bfloat16", "float16"),
    )
    jit: str = option(
        "auto",
        "Compile the training step by XLA: 'on', 'off', or 'auto': where that was measured to be faster, which on a "
        "CPU it is not (docs/results/speed.md). Needs one replica; a TPU compiles always.",
        ("auto", "on", "off"),
        identity=False,
    )
    steps_per_execution: int = option(
        1, "Steps that the devices take on their own before Python hears of them again.", identity=False
    )
    accumulate_steps: int = option(
        1,
        "Parts that each global batch is computed in, one after another, when it does not fit into memory. Batch "
        "norm, the negatives of SimCLR, SwAV's codes and Barlow Twins' correlations are then of a part.",
    )
    deterministic: bool = option(
        False,
        "Give the same bits each time, more slowly: on a GPU, and on a CPU where TensorFlow uses oneDNN.",
        identity=False,
    )

    def validate(self):
        for name in ("cpu_devices", "steps_per_execution", "accumulate_steps"):
            check(getattr(self, name) >= 1, f"--{name} must be at least 1.", getattr(self, name))
        check(
            self.strategy in ("auto", "mirrored") or self.cpu_devices == 1,
            f"--strategy={self.strategy} takes no --cpu_devices above 1.",
            self.cpu_devices,
        )
        check(
            self.strategy in ("auto", "tpu") or not self.tpu,
            f"--tpu goes with --strategy=tpu, not with --strategy={self.strategy}.",
            repr(self.tpu),
        )


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
