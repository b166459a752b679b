"""Chooses the settings of a run from the images and the machine, and says the reason of each choice.

docs/own_photographs.md explains the rules to users.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from simsiam_tf.config.model import Arch


@dataclasses.dataclass(frozen=True)
class Situation:
    """Holds what the choice depends on.

    Attributes:
        images: the number of training images.
        side: the shorter side of a typical image, in pixels.
        has_labels: whether kNN can judge the features: labelled images, and others to evaluate on.
        accelerators: the kind of the devices, `GPU` or `TPU`; empty for a CPU.
        replicas: the number of replicas.
        cores: the number of CPU cores.
        computes_bfloat16: whether the devices are fast in bfloat16.
        weights: the flags of the network whose weights the run begins with; empty if it begins with random ones.
    """

    images: int
    side: int
    has_labels: bool
    accelerators: str
    replicas: int
    cores: int
    computes_bfloat16: bool
    weights: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def devices(self) -> str:
        """Returns the devices in words, as `2 CPU cores`."""
        count, name = (self.replicas, self.accelerators) if self.accelerators else (self.cores, "CPU core")
        return f"{count} {name}{'' if count == 1 else 's'}"


@dataclasses.dataclass(frozen=True)
class Size:
    """Describes the size of a network and of its views.

    Attributes:
        arch: the architecture of the backbone.
        width: the multiplier of its channels.
        image_size: the side of the views, in pixels.
    """

    arch: Arch
    width: float
    image_size: int


# From the slowest to the fastest. A shorter budget takes a later one.
SIZES = (
    Size("resnet50", 1.0, 224),
    Size("resnet18", 1.0, 224),
    Size("resnet18", 0.5, 128),
    Size("resnet18", 0.25, 96),
    Size("resnet18", 0.25, 64),
    Size("resnet18", 0.125, 64),
)
# The number of images from which on GPUs get the first size instead of the second, and that of cores for a CPU.
_MANY_IMAGES, _MANY_CORES = 50_000, 16
# Images of this side or less get the CIFAR stem, without blur (App. D).
_SMALL_SIDE = 32
# The aim for the number of steps, and the least and most epochs, on an accelerator and on a CPU.
_STEPS, _EPOCHS = {True: 50_000, False: 4_000}, {True: (100, 800), False: (10, 200)}
_MEASUREMENTS = 20
_BATCH, _LARGEST_BATCH = 64, 512


@dataclasses.dataclass(frozen=True)
class Choice:
    """Holds one choice.

    Attributes:
        flags: the values by the name of the flag.
        reason: the reason, as a phrase.
    """

    flags: Mapping[str, Any]
    reason: str

    @property
    def arguments(self) -> list[str]:
        """Returns the flags as on a command line."""
        return [
            f"--{name}={value:g}" if isinstance(value, float) else f"--{name}={value}"
            for name, value in self.flags.items()
        ]

    def without(self, given: Mapping[str, Any]) -> "Choice":
        """Returns the choice without the flags that the user gives."""
        return Choice({name: value for name, value in self.flags.items() if name not in given}, self.reason)


def default_size(situation: Situation) -> int:
    """Returns the position in `SIZES` of the size for the devices and the number of images."""
    if situation.accelerators:
        return 0 if situation.images >= _MANY_IMAGES else 1
    return 2 if situation.cores >= _MANY_CORES else 3


def choose(
    situation: Situation, given: Mapping[str, Any], size: int | None = None, epochs: int | None = None
) -> list[Choice]:
    """Chooses the settings of a run.

    Args:
        situation: the images and the machine.
        given: the values of the flags that the user gives, by name; they are not chosen.
        size: the position in `SIZES`; `None` takes that of the devices.
        epochs: the number of epochs that fits a budget; `None` aims at a number of steps.

    Returns:
        The choices, without the flags that are given.
    """
    position = default_size(situation) if size is None else size
    batch = _batch(situation)
    images_a_step = given.get("global_batch_size", batch.flags["global_batch_size"])
    length = _length(situation, images_a_step, epochs)
    choices = [
        Choice(situation.weights, "the network of --init_weights"),
        _network(situation, position),
        _views(situation, _largest(situation, position), given.get("image_size")),
        batch,
        length,
        _rate(images_a_step, given.get("epochs", length.flags["epochs"])),
        _precision(situation),
        _monitor(situation, given.get("epochs", length.flags["epochs"])),
    ]
    chosen = [choices[0].without(given), *(choice.without({**situation.weights, **given}) for choice in choices[1:])]
    return [choice for choice in chosen if choice.flags]


def _network(situation: Situation, position: int) -> Choice:
    size, flags = SIZES[position], {"arch": SIZES[position].arch, "width": SIZES[position].width}
    if size.width < 1:  # the proportions of Sec. 3: z has four times the channels of the features, h a quarter of z's
        features = round(512 * size.width)
        flags |= {"projector_dim": 4 * features, "predictor_dim": features}
    reason = f"for {situation.devices}"
    if situation.accelerators:
        reason += f" and {situation.images} images"
    return Choice(flags, reason + (", and to fit the budget" if position > default_size(situation) else ""))


def _largest(situation: Situation, position: int) -> int:
    """Returns the largest side of the views. The stem for small images makes maps of large ones too large."""
    return _SMALL_SIDE if situation.weights.get("stem") == "cifar" else SIZES[position].image_size


def _views(situation: Situation, largest: int, given: int | None) -> Choice:
    side = given or max(_SMALL_SIDE, min(largest, situation.side // 32 * 32))
    flags = {"image_size": side}
    if side <= _SMALL_SIDE:
        return Choice(
            flags | {"stem": "cifar", "augmentation": "simsiam_cifar"},
            ("views are small" if given else f"the images are small ({situation.side} pixels)")
            + "; as CIFAR-10 in App. D, without blur",
        )
    reason = f"for {situation.devices}" if side == largest else f"the images have about {situation.side} pixels"
    return Choice(flags | {"stem": "imagenet", "augmentation": "simsiam"}, f"{reason}; views as in Sec. 3")


def _batch(situation: Situation) -> Choice:
    per_replica = _BATCH if situation.accelerators else max(2, _BATCH // situation.replicas)
    while per_replica > 2 and per_replica * situation.replicas > min(_LARGEST_BATCH, situation.images // 2):
        per_replica //= 2
    reason = f"{per_replica} images on each device" if situation.replicas > 1 else f"for {situation.devices}"
    if per_replica < _BATCH // situation.replicas:
        reason = f"at most half of the {situation.images} images"
    return Choice(
        {"global_batch_size": per_replica * situation.replicas}, f"{reason}; Sec. 4.3 finds no need of a large one"
    )


def _rate(batch: int, epochs: int) -> Choice:
    flags = {"base_learning_rate": 0.05, "warmup_epochs": 0.0}
    return Choice(flags, "Sec. 3; batches below 1024 need no warm-up")


def _length(situation: Situation, batch: int, epochs: int | None) -> Choice:
    if epochs is not None:
        return Choice({"epochs": epochs}, "to fit the budget")
    (least, most), steps = _EPOCHS[bool(situation.accelerators)], _STEPS[bool(situation.accelerators)]
    steps_per_epoch = max(1, situation.images // batch)
    epochs = min(most, max(least, round(steps / steps_per_epoch)))
    total = epochs * steps_per_epoch
    return Choice({"epochs": epochs}, f"{total:,} steps, and the aim is {steps:,} in {least} to {most} epochs")


def _precision(situation: Situation) -> Choice:
    if situation.computes_bfloat16:
        return Choice(
            {"precision": "bfloat16"}, f"{situation.accelerators}s are faster in it, and weights stay in float32"
        )
    return Choice({"precision": "float32"}, f"for {situation.devices}")


def _monitor(situation: Situation, epochs: int) -> Choice:
    every = max(1, round(epochs / _MEASUREMENTS))
    what = (
        "kNN accuracy"
        if situation.has_labels
        else "the spread of the features, as kNN needs labels and a split to evaluate on"
    )
    return Choice({"knn_every_epochs": every}, f"{what}, measured {-(-epochs // every)} times")
