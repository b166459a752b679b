"""Every setting of a run, as frozen dataclasses that are validated on construction.

The command-line flags are made from these fields (flags/definitions.py), so a setting's name, default,
choices and explanation stand here and nowhere else.
"""

import dataclasses
from typing import Any

from simsiam_tf.augment.config import AugmentConfig
from simsiam_tf.data.config import DataConfig
from simsiam_tf.settings import Validated, check, option


@dataclasses.dataclass(frozen=True)
class ModelConfig(Validated):
    """The method and its networks."""

    method: str = option("simsiam", "Self-supervised method.", ("simsiam",))
    arch: str = option("resnet50", "Backbone.", tuple(f"resnet{n}" for n in (18, 34, 50, 101, 152)))
    width: float = option(1.0, "Multiplier of the backbone's numbers of channels.")
    stem: str = option(
        "auto",
        "First layers of the backbone: 'cifar' (3x3, no max-pool; paper App. D), 'imagenet' (7x7 of stride 2 and "
        "max-pool), or 'auto': 'cifar' for images up to 64 pixels.",
        ("auto", "cifar", "imagenet"),
    )
    projector_layers: int = option(3, "Dense layers of the projector: 3, or 2 on CIFAR-10 (Sec. 3, App. D).")
    projector_dim: int = option(2048, "d, the width of z and p (App. B), times --head_scale.")
    projector_hidden_dim: int = option(0, "Width of the projector's hidden layers; 0: that of the features.")
    predictor: str = option(
        "mlp",
        "The predictor h: 'mlp', 'identity' (none; Table 1a: collapses) or 'fixed' at its random initial weights "
        "(Table 1b: does not learn).",
        ("mlp", "identity", "fixed"),
    )
    predictor_dim: int = option(512, "Width of the predictor's hidden layer, times --head_scale: d / 4 in the paper.")
    bn_placement: str = option(
        "release",
        "Batch norm in the heads (Table 3): 'none' (a), 'hidden' (b), 'paper' (c), 'release' (c without scale and "
        "offset on the projector's output), 'all' (d).",
        ("none", "hidden", "release", "paper", "all"),
    )
    stop_gradient: bool = option(
        True, "Treat the other view's z as a constant; --nostop_gradient collapses (Sec. 4.1)."
    )
    similarity: str = option(
        "cosine",
        "D of the loss: minus the 'cosine', or the 'cross_entropy' of softmaxes over channels (Sec. 4.5).",
        ("cosine", "cross_entropy"),
    )
    symmetry: str = option(
        "symmetric",
        "Which predictions count (Sec. 4.6): 'symmetric', of both views; 'asymmetric', of view 1 alone; "
        "'asymmetric_2x', likewise with two pairs of views of each image.",
        ("symmetric", "asymmetric", "asymmetric_2x"),
    )
    alternation_steps: str = option(
        "1",
        "SGD steps that use targets computed before the first of them (Sec. 5.2): a number, or 'epoch'. 1 is SimSiam. "
        "The targets take steps x batch x 2 x d x 4 bytes of the host's memory.",
    )
    eta_momentum: float = option(
        0.0,
        "Targets are a moving average, with this weight of the old one, of z of an image's views over the epochs "
        "(Sec. 5.2: 0.8, with --predictor=identity); 0: z of the other view. Takes images x d x 4 bytes of the host's "
        "memory.",
    )
    online_probe: bool = option(
        False,
        "Train a linear classifier beside the method, on features that it leaves as they are; needs labels. Its "
        "accuracy is reported apart: it is not that of a probe trained afterwards.",
    )

    def validate(self):
        check(self.width > 0, "--width must be positive.", self.width)
        check(self.projector_layers >= 2, "--projector_layers must be at least 2.", self.projector_layers)
        for name in ("projector_dim", "predictor_dim"):
            check(getattr(self, name) > 0, f"--{name} must be positive.", getattr(self, name))
        steps = self.alternation_steps
        wanted = "--alternation_steps must be a whole number from 1, or 'epoch'."
        check(steps == "epoch" or (steps.isdecimal() and int(steps) >= 1), wanted, repr(steps))
        check(self.eta_momentum < 1, "--eta_momentum must be below 1.", self.eta_momentum)
        several = "--eta_momentum and --alternation_steps are two variants; give one of them."
        check(not self.eta_momentum or steps == "1", several, f"{self.eta_momentum} and {steps}")
        held = "--alternation_steps and --eta_momentum hold targets constant in any case, without --nostop_gradient."
        check(self.stop_gradient or not self.remembers_images, held, "--nostop_gradient")
        units = "--eta_momentum averages z of length 1, whose softmax is all but uniform; it takes --similarity=cosine."
        check(not self.eta_momentum or self.similarity == "cosine", units, self.similarity)
        pairs = "--alternation_steps keeps targets of two views, which --symmetry=asymmetric_2x has four of."
        check(steps == "1" or self.symmetry != "asymmetric_2x", pairs, steps)

    @property
    def num_views(self) -> int:
        """Views of each image in a step."""
        return 4 if self.symmetry == "asymmetric_2x" else 2

    @property
    def remembers_images(self) -> bool:
        """Whether targets of single images outlive their step."""
        return bool(self.eta_momentum) or self.alternation_steps != "1"


@dataclasses.dataclass(frozen=True)
class OptimizerConfig(Validated):
    """SGD and its schedule (Sec. 3)."""

    base_learning_rate: float = option(0.05, "Learning rate per 256 images; scaled by the batch size.")
    sgd_momentum: float = option(0.9, "Momentum of SGD.")
    weight_decay: float = option(1e-4, "Coupled L2 on every parameter.")
    warmup_epochs: float = option(
        0.0, "Epochs of linear warm-up, times --epochs_scale; 10 for batches from 1024 and for Table 3a."
    )
    lr_decay: str = option(
        "step", "Cosine decay at each 'step', or at each 'epoch' as in the release.", ("step", "epoch")
    )
    predictor_lr: str = option(
        "constant",
        "The predictor's learning rate: 'constant' (Table 1c, and from Sec. 4.2 on) or 'decay' with the rest.",
        ("constant", "decay"),
    )
    predictor_lr_multiplier: float = option(1.0, "Multiplier of the predictor's learning rate.")

    def validate(self):
        check(self.base_learning_rate > 0, "--base_learning_rate must be positive.", self.base_learning_rate)
        check(self.warmup_epochs < float("inf"), "--warmup_epochs must be finite.", self.warmup_epochs)
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
        "norm then takes its statistics over a part, and its moving statistics move once for each.",
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
