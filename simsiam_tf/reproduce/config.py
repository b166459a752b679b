"""Settings of a reproduction."""

import dataclasses

from simsiam_tf.reproduce.experiments import EXPERIMENTS
from simsiam_tf.settings import Validated, check, option

SIZES = ("imagenet", "cifar10", "cifar10_small", "shapes")


@dataclasses.dataclass(frozen=True)
class ReproduceConfig(Validated):
    """Which experiments, at what size."""

    experiment: str = option(
        "all", "Experiment of the paper; 'all': one after the other, but for table4.", (*EXPERIMENTS, "all")
    )
    size: str = option("cifar10_small", "Size of its runs: a flagfile of flags/recipes/size.", SIZES)
    seeds: int = option(1, "Runs of each row, with seeds from --seed on.")
    reference_seeds: int = option(
        1, "Runs of the row that the others are compared with, if more: their spread says what noise is."
    )
    probe: str = option(
        "none",
        "Besides kNN, a linear probe of each run: 'cached', 'paper', 'release' or 'sgd', as evaluate.py has them.",
        ("none", "cached", "paper", "release", "sgd"),
    )

    def validate(self):
        for name in ("seeds", "reference_seeds"):
            check(getattr(self, name) >= 1, f"--{name} must be at least 1.", getattr(self, name))
