"""Declares the settings of an evaluation. The flags of evaluate.py are made from them."""

import dataclasses
import typing
from typing import Literal

from simsiam_tf.config.fields import Integers, Numbers, SettingsGroup, option
from simsiam_tf.errors import check

Protocol = Literal["knn", "linear", "finetune", "diagnostics", "report", "embed", "neighbours", "export"]
Probe = Literal["paper", "release", "sgd", "cached"]
PROBES: tuple[Probe, ...] = typing.get_args(Probe)
ProbeAugmentation = Literal["linear_train", "linear_eval"]


@dataclasses.dataclass(frozen=True)
class TaskConfig(SettingsGroup):
    """What evaluate.py does."""

    protocol: Protocol = option(
        "knn",
        "'knn'; 'linear', a probe on frozen features; 'finetune', of the whole network; 'diagnostics', without labels; "
        "'report', a page of one run or several; 'embed', the features of a folder; 'neighbours', the images of a "
        "folder nearest to one; 'export', a SavedModel.",
    )
    checkpoint: str = option("", "Checkpoint to judge; by default the run's latest.")
    eval_batch_size: int = option(256, "Images embedded at a time, on each replica.", positive=True)


@dataclasses.dataclass(frozen=True)
class KNNConfig(SettingsGroup):
    """--protocol=knn."""

    knn_k: Integers = option(
        (200,), "Neighbours that vote: a number, or several, as 20,200; knn_top1 is that of the first."
    )
    knn_temperature: Numbers = option(
        (0.1,), "Temperature of their weights exp(s / T): a number, or several, each with each k."
    )
    knn_max_examples: int = option(0, "Images in the kNN's bank; 0: all.")

    def validate(self) -> None:
        """Checks that there are numbers of neighbours and temperatures, all positive."""
        for name in ("knn_k", "knn_temperature"):
            check(len(getattr(self, name)) > 0, f"--{name} must name at least one number.", "none")
            check(all(x > 0 for x in getattr(self, name)), f"--{name} must be positive.", getattr(self, name))


@dataclasses.dataclass(frozen=True)
class ProbeConfig(SettingsGroup):
    """--protocol=linear."""

    probe: tuple[Probe, ...] = option(
        ("paper",),
        "'paper' (App. A: LARS, base learning rate 0.02, batch 4096, 90 epochs of random crops), 'release' (the same "
        "with 0.1, as the authors' code), 'sgd' (App. A: SGD, 30, batch 256), or 'cached': many learning rates and "
        "weight decays at once on features embedded once, far cheaper. Several, as paper,sgd, share their crops.",
    )
    probe_base_learning_rate: float = option(0.0, "Instead of the protocol's; per 256 images. 0: the protocol's.")
    probe_batch_size: int = option(0, "Instead of the protocol's. 0: the protocol's.")
    probe_epochs: int = option(90, "Epochs (App. A).", positive=True)
    probe_augmentation: ProbeAugmentation = option(
        "linear_train",
        "What 'paper', 'release' and 'sgd' learn from: 'linear_train', new random crops in each epoch (App. A), or "
        "'linear_eval', the centre of each image, embedded once.",
    )
    sweep_learning_rates: Numbers = option(
        (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0), "Base learning rates, per 256 images, of 'cached'."
    )
    sweep_weight_decays: Numbers = option((0.0, 1e-6, 1e-5, 1e-4), "Weight decays of 'cached', each with each rate.")
    sweep_holdout: float = option(
        0.1, "Share of the training images, as many of each class, by which 'cached' chooses; the test set never does."
    )

    def validate(self) -> None:
        """Checks that each probe is named once, and that the grid of 'cached' is not empty."""
        check(len(self.probe) > 0, "--probe must name at least one protocol.", "none")
        check(len(set(self.probe)) == len(self.probe), "--probe must name each protocol once.", ",".join(self.probe))
        check(0 < self.sweep_holdout < 1, "--sweep_holdout must be between 0 and 1.", self.sweep_holdout)
        check(
            bool(self.sweep_learning_rates) and all(rate > 0 for rate in self.sweep_learning_rates),
            "--sweep_learning_rates must be positive numbers.",
            self.sweep_learning_rates,
        )
        check(bool(self.sweep_weight_decays), "--sweep_weight_decays must name at least one number.", "none")


@dataclasses.dataclass(frozen=True)
class FinetuneConfig(SettingsGroup):
    """--protocol=finetune."""

    label_fraction: float = option(
        1.0, "Share of the training images whose labels are used, as many of each class: 0.01, 0.1 or any other."
    )
    label_seed: int = option(0, "Which images those are, and the order and crops of fine-tuning.")
    label_file: str = option(
        "",
        "File that names the labelled images instead, one in each line: file names, as in SimCLR's lists of 1 % and "
        "10 % of ImageNet, or positions in the data set.",
    )
    finetune_epochs: int = option(20, "Passes over the labelled images.", positive=True)
    finetune_batch_size: int = option(
        256, "Images per step over all replicas; at most as many as are labelled.", positive=True
    )
    finetune_backbone_lr: float = option(0.01, "The backbone's learning rate per 256 images.")
    finetune_head_lr: float = option(0.2, "The classifier's learning rate per 256 images.", positive=True)
    finetune_weight_decay: float = option(0.0, "Coupled L2 on every parameter.")

    def validate(self) -> None:
        """Checks that the labelled images are chosen in one way."""
        check(0 < self.label_fraction <= 1, "--label_fraction must be above 0 and at most 1.", self.label_fraction)
        check(
            not self.label_file or self.label_fraction == 1,
            "--label_file and --label_fraction exclude each other.",
            f"{self.label_file} and {self.label_fraction:g}",
        )


@dataclasses.dataclass(frozen=True)
class ImagesConfig(SettingsGroup):
    """--protocol=diagnostics, report, embed and neighbours."""

    diagnostics_max_examples: int = option(5000, "Images that 'diagnostics' looks at; 0: all.")
    query: str = option("", "The image whose neighbours are wanted.")
    num_neighbours: int = option(10, "Nearest images that are shown.", positive=True)
    out: str = option("", "Where 'report', 'embed' and 'neighbours' write; by default into the run's folder.")


EVALUATION_GROUPS: dict[str, type[SettingsGroup]] = {
    "task": TaskConfig,
    "knn": KNNConfig,
    "probe": ProbeConfig,
    "finetune": FinetuneConfig,
    "images": ImagesConfig,
}


@dataclasses.dataclass(frozen=True)
class EvaluationConfig:
    """Holds the settings of an evaluation: those of the task, and those of each protocol."""

    task: TaskConfig = TaskConfig()
    knn: KNNConfig = KNNConfig()
    probe: ProbeConfig = ProbeConfig()
    finetune: FinetuneConfig = FinetuneConfig()
    images: ImagesConfig = ImagesConfig()
