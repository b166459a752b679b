"""Averages the numbers that a row's runs came to, and compares those of two rows."""

import dataclasses
import math
import statistics
from collections.abc import Sequence

from simsiam_tf.config.collapse import COLLAPSED_LOSS, COLLAPSED_STD, POINT_STD
from simsiam_tf.errors import UsageError
from simsiam_tf.reproduce.probes import top1_name
from simsiam_tf.reproduce.runs import Run

# The name that metrics.jsonl has for the effective rank of the backbone's features.
_RANK = "feature_effective_rank"


@dataclasses.dataclass(frozen=True)
class Outcome:
    """Holds the results of a row's runs. Each number is the mean over the runs that finished.

    Attributes:
        seeds: the number of runs that finished; each has another seed.
        top1: the top-1 accuracy that rows are compared by, percent.
        knn: the kNN top-1 accuracy, percent.
        untrained: the kNN top-1 accuracy before the first step, percent.
        loss: the loss of the last epoch.
        std: the standard deviation of z/|z|, times sqrt(d), in the last epoch.
        losses: the loss of each epoch, for each run.
        step_spread: the standard deviation of the step loss around its mean over the 50 steps up to it, in the second
            half of the run; NaN if the runs have not recorded it.
        rank: the effective rank of the backbone's features at the end.
        untrained_rank: the effective rank of the untrained backbone's features.
        epochs: the number of epochs of each run.
        hours: the hours of training and monitoring, over all runs.
        spread: the sample standard deviation of `top1` over the runs; `None` for a single run.
        diverged: the number of runs that diverged.
        cosine: whether the loss is minus a cosine similarity, which is never below -1.
    """

    seeds: int
    top1: float = math.nan
    knn: float = math.nan
    untrained: float = math.nan
    loss: float = math.nan
    std: float = math.nan
    losses: tuple[tuple[float, ...], ...] = ()
    step_spread: float = math.nan
    rank: float = math.nan
    untrained_rank: float = math.nan
    epochs: int = 0
    hours: float = 0.0
    spread: float | None = None
    diverged: int = 0
    cosine: bool = True

    @property
    def gain(self) -> float:
        """Returns the kNN accuracy gained over the untrained network, percentage points."""
        return self.knn - self.untrained


def outcome(runs: Sequence[Run], probe: str) -> Outcome:
    """Averages the results of a row's runs over the seeds.

    Args:
        runs: the runs of the row, one for each seed. Each has finished or diverged.
        probe: the linear probe whose accuracy is compared, or `none` for kNN.

    Raises:
        UsageError: if a run lacks a record, for example because there are no labels.
    """
    finished = [run.workdir for run in runs if run.workdir.is_finished()]
    diverged, cosine = len(runs) - len(finished), runs[0].config.model.of_method.loss_is_cosine
    if not finished:
        return Outcome(seeds=0, diverged=diverged, cosine=cosine)

    lines, last = [workdir.metrics() for workdir in finished], runs[0].config.run.epochs

    def values(name: str) -> list[float]:
        """Reads one record of every finished run. kNN is the monitor's: evaluate.py may have measured it otherwise."""
        found = [workdir.summary().get(name, {"value": None})["value"] for workdir in finished]
        if name == "knn_top1":
            found = [of_run[-1].get(name) if of_run else None for of_run in lines]
        if None in found:
            where = finished[found.index(None)].root
            raise UsageError(f"Rows are compared by {name}, which needs labels and a test split. Received: {where}.")
        return found

    top1 = values(top1_name(probe))

    def recorded(name: str, first: float, last: int) -> float:
        """Averages a measurement of metrics.jsonl over epochs, then over runs; NaN if a run has it in none of them."""
        found = [[x[name] for x in of_run if name in x and first <= x["epoch"] <= last] for of_run in lines]
        return statistics.fmean(map(statistics.fmean, found)) if all(found) else math.nan

    return Outcome(
        seeds=len(finished),
        top1=statistics.fmean(top1),
        knn=statistics.fmean(values("knn_top1")),
        untrained=statistics.fmean(values("knn_top1_untrained")),
        loss=statistics.fmean(values("loss")),
        std=statistics.fmean(values("z_std_scaled")),
        losses=tuple(tuple(line["loss"] for line in of_run if "loss" in line) for of_run in lines),
        step_spread=recorded("loss_std", (last + 1) / 2, last),
        rank=recorded(_RANK, last, last),
        untrained_rank=recorded(_RANK, 0, 0),
        epochs=last,
        hours=sum(values("wall_seconds")) / 3600,
        spread=statistics.stdev(top1) if len(top1) > 1 else None,
        diverged=diverged,
        cosine=cosine,
    )


def noise(rows: Sequence[Outcome], ours: Outcome, reference: Outcome) -> float | None:
    """Computes two standard errors of the difference between two rows' accuracies.

    The variance over seeds is pooled over all rows of the experiment that have several seeds.

    Args:
        rows: the results of all rows of the experiment.
        ours: the results of the row.
        reference: the results of the row that it is compared with.

    Returns:
        Percentage points, or `None` if every row has a single seed.
    """
    known = [(row.spread, row.seeds - 1) for row in rows if row.spread is not None]
    if not known:
        return None
    variance = sum(spread**2 * freedom for spread, freedom in known) / sum(freedom for _, freedom in known)
    return 2 * math.sqrt(variance * (1 / ours.seeds + 1 / reference.seeds))


def has_collapsed(ours: Outcome, reference: Outcome) -> bool:
    """Returns whether a row's representations collapsed (Sec. 4.1).

    The cosine loss of a collapsed row is near -1, and the standard deviation of its z is far below the reference's; a
    row has collapsed if both hold. Other losses have no value that shows a collapse. For them the standard deviation
    alone decides, with a lower limit: the heads of BYOL, MoCo and SwAV do not end with batch norm, and the standard
    deviation of a healthy row may be less than half of SimSiam's.

    Args:
        ours: the results of the row.
        reference: the results of a healthy row to compare the standard deviation with.
    """
    if not ours.cosine:
        return ours.std < POINT_STD * reference.std
    return ours.loss < COLLAPSED_LOSS and ours.std < COLLAPSED_STD * reference.std
