"""Every setting of a run, as frozen dataclasses that are validated on construction.

The command-line flags are made from these fields (flags/definitions.py), so a setting's name, default,
choices and explanation stand here and nowhere else.
"""

import dataclasses
import os
from typing import Any


class UsageError(ValueError):
    """A request that cannot be met, in one sentence for the person who made it; the scripts exit with 2."""


def option(default: Any, help: str, choices: tuple[str, ...] = (), identity: bool = True) -> Any:
    """A setting: its default, what it does, its possible values, and whether it makes another run."""
    return dataclasses.field(default=default, metadata={"help": help, "choices": choices, "identity": identity})


def check(condition: bool, rule: str, received: Any) -> None:
    """Raises a UsageError that states the rule and what was received, unless `condition` holds."""
    if not condition:
        raise UsageError(f"{rule} Received: {received}.")


# A figure of the augmentation: one for both views, or one for each. `None` is the policy's.
PerView = float | tuple[float, float] | None
_POLICY_S = "by default the policy's"
AUGMENTATIONS = ("simsiam", "simsiam_cifar", "simclr", "byol", "swav", "linear_train", "linear_eval", "none")


class Validated:
    """Settings that are checked when they are made."""

    def __post_init__(self):
        for field in dataclasses.fields(self):
            value, choices = getattr(self, field.name), field.metadata["choices"]
            if choices and value not in choices:
                check(False, f"--{field.name} must be one of {', '.join(choices)}.", repr(value))
            for number in value if isinstance(value, tuple) else (value,):
                if isinstance(number, int | float) and not isinstance(number, bool):
                    check(number >= 0, f"--{field.name} must not be negative.", number)
        self.validate()

    def validate(self) -> None:
        """Checks what the choices do not say."""


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
    projector_dim: int = option(2048, "d, the width of z and p (App. B).")
    projector_hidden_dim: int = option(0, "Width of the projector's hidden layers; 0: that of the features.")
    predictor_dim: int = option(512, "Width of the predictor's hidden layer: d / 4 in the paper.")
    bn_placement: str = option(
        "release",
        "Batch norm in the heads (Table 3): 'none' (a), 'hidden' (b), 'paper' (c), 'release' (c without scale and "
        "offset on the projector's output), 'all' (d).",
        ("none", "hidden", "release", "paper", "all"),
    )
    stop_gradient: bool = option(
        True, "Treat the other view's z as a constant; --nostop_gradient collapses (Sec. 4.1)."
    )

    def validate(self):
        check(self.width > 0, "--width must be positive.", self.width)
        check(self.projector_layers >= 2, "--projector_layers must be at least 2.", self.projector_layers)
        for name in ("projector_dim", "predictor_dim"):
            check(getattr(self, name) > 0, f"--{name} must be positive.", getattr(self, name))


@dataclasses.dataclass(frozen=True)
class OptimizerConfig(Validated):
    """SGD and its schedule (Sec. 3)."""

    base_learning_rate: float = option(0.05, "Learning rate per 256 images; scaled by the batch size.")
    sgd_momentum: float = option(0.9, "Momentum of SGD.")
    weight_decay: float = option(1e-4, "Coupled L2 on every parameter.")
    warmup_epochs: float = option(0.0, "Epochs of linear warm-up; 10 for batches from 1024 and for Table 3a.")
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
class DataConfig(Validated):
    """The images."""

    dataset: str = option(
        "cifar10", "A name in TensorFlow Datasets, 'folder' (the images under --data_dir), or 'shapes' (built in)."
    )
    data_dir: str = option(
        "",
        "Where the data set is: TFDS's directory, or the folder of images. Empty: TFDS's own default.",
        identity=False,
    )
    download: bool = option(False, "Let TFDS download and prepare a data set that is not there yet.", identity=False)
    train_split: str = option("train", "Split (or sub-folder) that is trained on.")
    eval_split: str = option("auto", "Split that is evaluated; 'auto': validation, val or test, the first there is.")
    max_examples: int = option(0, "Pre-train on only the first so many images; 0: on all.")
    max_bad_fraction: float = option(
        0.01, "Stop when more than this share of the images cannot be read; fewer are skipped.", identity=False
    )
    image_size: int = option(224, "Side of the square views, in pixels.")
    global_batch_size: int = option(512, "Images per step over all replicas; each has two views.")

    def validate(self):
        check(self.image_size >= 8, "--image_size must be at least 8.", self.image_size)
        check(self.max_bad_fraction < 1, "--max_bad_fraction must be below 1.", self.max_bad_fraction)
        check(self.global_batch_size >= 2, "--global_batch_size must be at least 2.", self.global_batch_size)
        check(
            self.dataset != "folder" or bool(self.data_dir),
            "--dataset=folder needs --data_dir, the folder of images.",
            "no --data_dir",
        )


@dataclasses.dataclass(frozen=True)
class AugmentConfig(Validated):
    """The random views."""

    augmentation: str = option(
        "simsiam",
        "Policy: 'simsiam' (Sec. 3; also MoCo v2), 'simsiam_cifar' (no blur; App. D), 'simclr', 'byol' (another for "
        "the second view), 'swav', 'linear_train' (crop and flip), 'linear_eval' (the centre), or 'none'. Each "
        "figure of it can be replaced, by a number or by two, as --blur_p=1.0,0.1, one for each view.",
        AUGMENTATIONS,
    )
    crop_min_scale: PerView = option(None, f"Least share of the image in a random crop, 0: the centre; {_POLICY_S}.")
    crop_max_scale: PerView = option(None, "Greatest share of the image in a random crop; by default 1.")
    crop_min_aspect: PerView = option(None, "Least width by height of a random crop; by default 3/4.")
    crop_max_aspect: PerView = option(None, "Greatest width by height of a random crop; by default 4/3.")
    flip_p: PerView = option(None, f"Probability of a horizontal flip; {_POLICY_S}.")
    jitter_p: PerView = option(None, f"Probability of the colour jitter; {_POLICY_S}.")
    brightness: PerView = option(None, f"Strength of the brightness jitter; {_POLICY_S}.")
    contrast: PerView = option(None, f"Strength of the contrast jitter; {_POLICY_S}.")
    saturation: PerView = option(None, f"Strength of the saturation jitter; {_POLICY_S}.")
    hue: PerView = option(None, f"Strength of the hue jitter, in turns, up to 0.5; {_POLICY_S}.")
    gray_p: PerView = option(None, f"Probability of dropping colour; {_POLICY_S}.")
    blur_p: PerView = option(None, f"Probability of a Gaussian blur; {_POLICY_S}.")
    blur_min_sigma: PerView = option(None, "Least standard deviation of the blur, pixels; by default 0.1.")
    blur_max_sigma: PerView = option(None, "Greatest standard deviation of the blur, pixels; by default 2.")
    solarize_p: PerView = option(None, f"Probability of inverting the bright levels; {_POLICY_S}.")
    solarize_threshold: PerView = option(None, "The level, 0 to 255, from which --solarize_p inverts; by default 128.")
    augment_on: str = option(
        "auto",
        "Where views are made of the images: on the 'device', in the training step, so that only uint8 images go "
        "there; on the 'host'; or 'auto': the device where it is a GPU or a TPU. Large images are decoded and "
        "cropped by the host always. Same views either way, to a level of 255.",
        ("auto", "device", "host"),
        identity=False,
    )

    def strengths(self, view: int) -> dict[str, float]:
        """The figures that replace the policy's in one view."""
        names = [field.name for field in dataclasses.fields(self) if field.default is None]
        given = {name: getattr(self, name) for name in names if getattr(self, name) is not None}
        return {name: value[view] if isinstance(value, tuple) else value for name, value in given.items()}


@dataclasses.dataclass(frozen=True)
class RunConfig(Validated):
    """How long, on what, and what is kept."""

    workdir: str = option("", "Folder of the run: checkpoints, logs and results.", identity=False)
    seed: int = option(0, "Seed of the initial weights, the order of the images and their views.")
    epochs: int = option(100, "Passes over the images.")
    precision: str = option(
        "float32", "Arithmetic: 'bfloat16' is mixed, with float32 weights.", ("float64", "float32", "bfloat16")
    )
    strategy: str = option(
        "auto", "Devices: 'auto', 'one', 'mirrored' or 'tpu'.", ("auto", "one", "mirrored", "tpu"), identity=False
    )
    tpu: str = option("", "Name of the Cloud TPU, or 'local'.", identity=False)
    cpu_devices: int = option(1, "Logical devices made of the CPU, to try several replicas.", identity=False)
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
        check(self.cpu_devices >= 1, "--cpu_devices must be at least 1.", self.cpu_devices)
        check(self.keep_checkpoints >= 1, "--keep_checkpoints must be at least 1.", self.keep_checkpoints)


@dataclasses.dataclass(frozen=True)
class PreviewConfig(Validated):
    """The picture."""

    out: str = option("preview.png", "PNG file to write; an existing one is not overwritten.")
    num_images: int = option(8, "Images, one in each column.")
    num_epochs: int = option(3, "Epochs whose views are drawn, two rows each.")

    def validate(self):
        for name in ("num_images", "num_epochs"):
            check(getattr(self, name) > 0, f"--{name} must be positive.", getattr(self, name))


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
            for group in (self.model, self.optimizer, self.data, self.augment, self.run)
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
    "run": RunConfig,
}


def resolve_stem(model: ModelConfig, image_size: int) -> bool:
    """Whether the backbone gets the CIFAR stem."""
    return model.stem == "cifar" or (model.stem == "auto" and image_size <= 64)


def expand(path: str) -> str:
    """A path as the user means it, `~` included."""
    return os.path.abspath(os.path.expanduser(path))
