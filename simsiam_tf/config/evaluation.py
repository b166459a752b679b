"""Declares the settings of an evaluation. The flags of evaluate.py are made from them."""

import dataclasses
import typing
from typing import Literal

from simsiam_tf.config.fields import Integers, Names, Numbers, SettingsGroup, option
from simsiam_tf.errors import check

Protocol = Literal[
    "knn",
    "linear",
    "finetune",
    "did_it_help",
    "detection",
    "diagnostics",
    "report",
    "embed",
    "neighbours",
    "export",
]
Probe = Literal["paper", "release", "sgd", "cached"]
ExportFormat = Literal["savedmodel", "keras", "onnx", "litert", "safetensors", "torch", "release", "timm", "detectron2"]
PROBES: tuple[Probe, ...] = typing.get_args(Probe)
ProbeAugmentation = Literal["linear_train", "linear_eval"]


@dataclasses.dataclass(frozen=True)
class TaskConfig(SettingsGroup):
    """Protocol and checkpoint."""

    protocol: tuple[Protocol, ...] = option(
        ("knn",),
        "What to do, or several things in one process, such as knn,linear,export: 'knn', kNN classification; "
        "'linear', a linear probe on frozen features; 'finetune', training of the whole network, last if there are "
        "several; 'did_it_help', a comparison with the untrained network and with those of --baseline; 'diagnostics', "
        "measures that need no labels; 'detection', the average precision of a run of transfer.py; 'report', a page "
        "about one run or several; 'embed', files with the features of images; 'neighbours', the images nearest to a "
        "given one; 'export', a SavedModel.",
    )
    checkpoint: str = option("", "Name of the checkpoint to evaluate; by default the latest of the run.")
    init_weights: str = option(
        "",
        "Weights that 'finetune' begins with, in place of the run's: the folder of another run, or a file as for "
        "--init_weights of train.py. The names of its results end with the name of the file.",
    )
    eval_batch_size: int = option(
        256, "Number of images that each replica embeds at a time; a detector takes that of its run.", positive=True
    )

    def validate(self) -> None:
        """Checks that there is a protocol, and that given weights are for fine-tuning alone."""
        check(len(self.protocol) > 0, "--protocol must name at least one protocol.", "none")
        check(
            not self.init_weights or self.protocol == ("finetune",),
            "--init_weights goes with --protocol=finetune alone; python -m simsiam_tf.cli.convert makes a folder of "
            "weights for the other protocols.",
            f"--protocol={','.join(self.protocol)}",
        )


@dataclasses.dataclass(frozen=True)
class KNNConfig(SettingsGroup):
    """Settings of --protocol=knn."""

    knn_k: Integers = option(
        (200,),
        "Number of neighbours that vote, or several numbers, such as 20,200. With several, knn_top1 is of the first.",
    )
    knn_temperature: Numbers = option(
        (0.1,),
        "Temperature T of the weights exp(similarity / T) of the neighbours, or several, each used with each --knn_k.",
    )
    knn_max_examples: int = option(0, "Number of training images that can be neighbours; 0: all.")

    def validate(self) -> None:
        """Checks that there are numbers of neighbours and temperatures, all positive."""
        for name in ("knn_k", "knn_temperature"):
            check(len(getattr(self, name)) > 0, f"--{name} must name at least one number.", "none")
            check(all(x > 0 for x in getattr(self, name)), f"--{name} must be positive.", getattr(self, name))


@dataclasses.dataclass(frozen=True)
class ProbeConfig(SettingsGroup):
    """Settings of --protocol=linear."""

    probe: tuple[Probe, ...] = option(
        ("paper",),
        "Protocol of the probe: 'paper' (App. A: LARS, base learning rate 0.02, batch size 4096, 90 epochs of random "
        "crops), 'release' (the same with base learning rate 0.1, as in the authors' code), 'sgd' (App. A: SGD, base "
        "learning rate 30, batch size 256), or 'cached', which is much cheaper: it embeds each image once, and tries "
        "many learning rates and weight decays at the same time. Several, such as paper,sgd, share their crops.",
    )
    probe_base_learning_rate: float = option(0.0, "Learning rate per 256 images; 0: that of the protocol.")
    probe_batch_size: int = option(0, "Batch size; 0: that of the protocol.")
    probe_epochs: int = option(90, "Passes over the training images (App. A).", positive=True)
    probe_augmentation: ProbeAugmentation = option(
        "linear_train",
        "Images that 'paper', 'release' and 'sgd' train on: 'linear_train', random crops in each epoch (App. A); or "
        "'linear_eval', the centre of each image, embedded once.",
    )
    sweep_learning_rates: Numbers = option(
        (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0), "Learning rates of 'cached', per 256 images."
    )
    sweep_weight_decays: Numbers = option(
        (0.0, 1e-6, 1e-5, 1e-4), "Weight decays of 'cached'; each is tried with each learning rate."
    )
    sweep_holdout: float = option(
        0.1,
        "Fraction of the training images of each class that 'cached' holds out, to choose the best settings by. It "
        "never chooses by the test images.",
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
    """Settings of --protocol=finetune."""

    label_fraction: float = option(
        1.0, "Fraction of the training images whose labels are used, such as 0.01; each class gives the same number."
    )
    label_seed: int = option(0, "Seed of the choice of labelled images, and of the order and crops of fine-tuning.")
    label_file: str = option(
        "",
        "File that lists the labelled images, in place of --label_fraction. Each line has a file name, as in SimCLR's "
        "lists of 1 % and 10 % of ImageNet, or a position in the data set.",
    )
    finetune_epochs: int = option(20, "Passes over the labelled images.", positive=True)
    finetune_batch_size: int = option(
        256, "Images in a step, over all replicas; at most the number of labelled images.", positive=True
    )
    finetune_backbone_lr: float = option(0.01, "Learning rate of the backbone, per 256 images.")
    finetune_head_lr: float = option(0.2, "Learning rate of the classifier, per 256 images.", positive=True)
    finetune_weight_decay: float = option(0.0, "Coupled L2 weight decay of every parameter.")

    def validate(self) -> None:
        """Checks the fraction of labelled images, and that they are chosen in only one way."""
        check(self.label_seed < 2**31, "--label_seed must be below 2**31.", self.label_seed)
        check(0 < self.label_fraction <= 1, "--label_fraction must be above 0 and at most 1.", self.label_fraction)
        check(
            not self.label_file or self.label_fraction == 1,
            "--label_file and --label_fraction exclude each other.",
            f"{self.label_file} and {self.label_fraction:g}",
        )


@dataclasses.dataclass(frozen=True)
class ComparisonConfig(SettingsGroup):
    """Settings of --protocol=did_it_help, besides those of knn and linear."""

    baseline: Names = option(
        (),
        "Network to compare the run's with, or several with commas between them: the folder of a run, or a file of "
        "weights as --init_weights takes it. By default the weights that the run began with. The untrained network is "
        "always compared, too.",
    )

    def validate(self) -> None:
        """Checks that each baseline has a name, and is named once."""
        check(all(self.baseline), "--baseline must name a network between each two commas.", ",".join(self.baseline))
        once = len(set(self.baseline)) == len(self.baseline)
        check(once, "--baseline must name each network once.", ",".join(self.baseline))


@dataclasses.dataclass(frozen=True)
class ImagesConfig(SettingsGroup):
    """Settings of --protocol=diagnostics, report, embed and neighbours."""

    diagnostics_max_examples: int = option(5000, "Number of images that 'diagnostics' looks at; 0: all.")
    query: str = option(
        "", "Image file whose nearest images 'neighbours' shows; by default some images of the data set."
    )
    num_neighbours: int = option(10, "Number of nearest images to show.", positive=True)
    out: str = option(
        "", "Path that 'report', 'embed' or 'neighbours' writes to; by default inside the folder of the run."
    )


@dataclasses.dataclass(frozen=True)
class ExportConfig(SettingsGroup):
    """Settings of --protocol=export."""

    format: tuple[ExportFormat, ...] = option(
        ("savedmodel", "keras"),
        "Formats to write, one or several: 'savedmodel', TensorFlow's, from images of any size to features; 'keras', "
        "the network alone; 'onnx', the same function as 'savedmodel' for onnxruntime; 'litert', files for telephones; "
        "'safetensors' and 'torch', the weights under torchvision's names; 'release', a whole SimSiam as the authors' "
        "programs name it; 'timm', a folder that timm and KerasHub open; 'detectron2', for its R50-C4 and others.",
    )

    def validate(self) -> None:
        """Checks that there is a format."""
        check(len(self.format) > 0, "--format must name at least one format.", "none")


EVALUATION_GROUPS: dict[str, type[SettingsGroup]] = {
    "task": TaskConfig,
    "knn": KNNConfig,
    "probe": ProbeConfig,
    "finetune": FinetuneConfig,
    "comparison": ComparisonConfig,
    "images": ImagesConfig,
    "export": ExportConfig,
}


@dataclasses.dataclass(frozen=True)
class EvaluationConfig:
    """Holds the settings of an evaluation: those of the task, and those of each protocol."""

    task: TaskConfig = TaskConfig()
    knn: KNNConfig = KNNConfig()
    probe: ProbeConfig = ProbeConfig()
    finetune: FinetuneConfig = FinetuneConfig()
    comparison: ComparisonConfig = ComparisonConfig()
    images: ImagesConfig = ImagesConfig()
    export: ExportConfig = ExportConfig()
