"""Defines the settings of a reproduction."""

import dataclasses

from simsiam_tf.config.fields import Names, SettingsGroup, option
from simsiam_tf.errors import check
from simsiam_tf.reproduce.experiments import EXPERIMENTS, Experiment, Row
from simsiam_tf.reproduce.table5_rows import NAME as TABLE5
from simsiam_tf.reproduce.table5_rows import TRANSFER_SIZES, rows_of

SIZES = ("imagenet", "cifar10", "cifar10_small", "shapes")


@dataclasses.dataclass(frozen=True)
class ReproduceConfig(SettingsGroup):
    """Experiments, their size and seeds."""

    experiment: str = option(
        "all",
        "Experiment of the paper, or 'all' for all but table4 and table5, one after the other.",
        (*EXPERIMENTS, TABLE5, "all"),
    )
    size: str = option(
        "cifar10_small",
        "Size of the runs: the name of a flagfile in flags/recipes/size; for table5 one of made, voc07, voc0712 and "
        "coco, the name of a flagfile in flags/recipes/transfer.",
        (*SIZES, *TRANSFER_SIZES),
    )
    seeds: int = option(1, "Number of runs of each row; the first has the seed --seed.")
    reference_seeds: int = option(
        1, "Number of runs of the reference rows, if greater than --seeds. Their spread measures the noise."
    )
    probe: str = option(
        "none",
        "Linear probe to train on each run besides kNN: 'cached', 'paper', 'release' or 'sgd' (see evaluate.py).",
        ("none", "cached", "paper", "release", "sgd"),
    )
    rows: Names = option((), "Rows of table5 to run, such as scratch,simsiam_base. By default all.")
    supervised: str = option(
        "",
        "Weights of table5's row 'ImageNet supervised', which this project does not train: what --backbone of "
        "transfer.py takes. Without them the row is not run.",
    )
    transfer_flags: str = option(
        "",
        "Flags of transfer.py for the fine-tuning of table5, in one text, such as '--data_dir=~/VOCdevkit "
        "--strategy=mirrored'. Other flags, such as --data_dir itself, are those of the pre-training.",
    )

    def validate(self) -> None:
        """Raises a UsageError if a number of seeds is below 1, or the experiment does not exist at the size."""
        for name in ("seeds", "reference_seeds"):
            check(getattr(self, name) >= 1, f"--{name} must be at least 1.", getattr(self, name))
        if self.experiment == TABLE5:
            self._check_table5()
            return
        for name in ("rows", "supervised", "transfer_flags"):
            given = getattr(self, name)
            check(not given, f"--{name} needs --experiment={TABLE5}.", given)
        check(
            self.size in SIZES,
            f"--size={self.size} belongs to --experiment={TABLE5}; other sizes are {', '.join(SIZES)}.",
            f"--experiment={self.experiment}",
        )
        check(
            self.experiment == "all" or EXPERIMENTS[self.experiment].not_at != self.size,
            f"--experiment={self.experiment} does not exist at this --size; use --experiment=table4.",
            self.size,
        )

    def _check_table5(self) -> None:
        sizes = ", ".join(TRANSFER_SIZES)
        check(self.size in TRANSFER_SIZES, f"--experiment={TABLE5} needs one of the sizes {sizes}.", self.size)
        check(self.probe == "none", f"--experiment={TABLE5} measures no linear probe; leave --probe out.", self.probe)
        check(
            self.reference_seeds == 1,
            f"--experiment={TABLE5} gives every row the same number of seeds, that of --seeds.",
            f"--reference_seeds={self.reference_seeds}",
        )
        rows_of(self.size, self.rows, self.supervised)

    @property
    def experiments(self) -> list[str]:
        """Returns the names of the experiments to carry out; one of them may be table5, which has rows of its own."""
        if self.experiment != "all":
            return [self.experiment]
        # 'all' leaves out Table 4, which takes as long as 75 rows of the other experiments.
        return [name for name in EXPERIMENTS if name != "table4" and EXPERIMENTS[name].not_at != self.size]

    def seeds_of(self, experiment: Experiment, row: Row, first: int = 0) -> range:
        """Returns the seeds of a row's runs. Rows that others are compared with may have more seeds.

        Args:
            experiment: the experiment.
            row: a row of the experiment.
            first: the first seed.
        """
        references = {experiment.reference, *(other.against for other in experiment.rows)}
        count = max(self.seeds, self.reference_seeds) if row.recipe in references else self.seeds
        return range(first, first + count)
