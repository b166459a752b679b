"""Defines the settings of a reproduction."""

import dataclasses

from simsiam_tf.config.fields import Names, SettingsGroup, option
from simsiam_tf.errors import check
from simsiam_tf.reproduce.experiments import EXPERIMENTS, Experiment, Row
from simsiam_tf.reproduce.table5_rows import ROWS, TRANSFER_SIZES

SIZES = ("imagenet", "cifar10", "cifar10_small", "shapes")
TABLE5 = "table5"


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
        "Size of the runs: the name of a flagfile in flags/recipes/size; for table5 made, voc07, voc0712 or coco, one "
        "in flags/recipes/transfer.",
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
    rows: Names = option(
        (),
        "Rows to run, besides those that they are compared with: recipes of flags/recipes/paper, and for table5 "
        f"{', '.join(ROWS)}. By default all, and for table5 all that need no further weights.",
    )
    supervised: str = option("", "Weights of the row 'supervised' of table5: a file, as for --backbone of transfer.py.")
    transfer_flags: str = option(
        "", "Flags of transfer.py for table5, in one text: '--data_dir=/data/coco --strategy=mirrored'."
    )

    dry_run: bool = option(False, "List the runs, and say which are missing; train nothing, and write nothing.")

    def validate(self) -> None:
        """Raises a UsageError if a number of seeds is below 1, or the experiment does not exist at the size."""
        for name in ("seeds", "reference_seeds"):
            check(getattr(self, name) >= 1, f"--{name} must be at least 1.", getattr(self, name))
        self._check_table5()
        check(
            self.experiment in ("all", TABLE5) or EXPERIMENTS[self.experiment].not_at != self.size,
            f"--experiment={self.experiment} does not exist at this --size; use --experiment=table4.",
            self.size,
        )

    def _check_table5(self) -> None:
        """Raises a UsageError if the size or the rows do not belong to the experiment."""
        is_transfer, sizes = self.experiment == TABLE5, TRANSFER_SIZES if self.experiment == TABLE5 else SIZES
        if is_transfer:
            check(self.probe == "none", "--experiment=table5 measures no linear probe; leave --probe out.", self.probe)
            number = self.reference_seeds
            check(number == 1, "--experiment=table5 has no reference rows; leave --reference_seeds out.", number)
        check(self.size in sizes, f"--experiment={self.experiment} needs --size={', '.join(sizes)}.", self.size)
        for name in ("supervised", "transfer_flags"):
            given = getattr(self, name)
            check(not given or is_transfer, f"--{name} needs --experiment=table5.", f"--{name}={given}")
        check(
            not self.rows or self.experiment != "all", "--rows needs one --experiment.", f"--rows={','.join(self.rows)}"
        )
        there = [row.recipe for name in self.experiments if not is_transfer for row in EXPERIMENTS[name].rows]
        known = ROWS if is_transfer else there
        unknown = [name for name in self.rows if name not in known]
        check(not unknown, f"--rows must name rows of {', '.join(known)}.", ", ".join(unknown))
        check(
            "supervised" not in self.rows or bool(self.supervised),
            "The row 'supervised' needs --supervised, a file of weights that were trained with labels.",
            "no --supervised",
        )
        check(
            not self.supervised or not self.rows or "supervised" in self.rows,
            "--supervised goes with the row 'supervised', which --rows does not name.",
            f"--rows={','.join(self.rows)}",
        )

    @property
    def experiments(self) -> list[str]:
        """Returns the names of the experiments to carry out."""
        if self.experiment != "all":
            return [self.experiment]
        # 'all' leaves out Table 4, which takes as long as 75 rows of the other experiments.
        return [name for name in EXPERIMENTS if name != "table4" and EXPERIMENTS[name].not_at != self.size]

    def chosen(self, experiment: Experiment) -> Experiment:
        """Returns an experiment with the rows that `rows` names and those that they are compared with."""
        named = [row for row in experiment.rows if not self.rows or row.recipe in self.rows]
        wanted = {experiment.reference, *(row.recipe for row in named), *(row.against for row in named)}
        return experiment._replace(rows=tuple(row for row in experiment.rows if row.recipe in wanted))

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
