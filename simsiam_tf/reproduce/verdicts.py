"""Judges whether the runs of a row show what the row claims, by pure functions of their numbers."""

import dataclasses
import itertools
import math
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

from simsiam_tf.config.collapse import COLLAPSED_LOSS, COLLAPSED_STD, POINT_STD

Shows = Literal["yes", "no", "within noise", "undecided", "reference"]
# Whether a claim holds, or why that cannot be decided; and a text with the numbers.
Answer = tuple[bool | Literal["within noise", "undecided"], str]
Rows = Sequence["Outcome"]


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
    spread: float | None = None
    diverged: int = 0
    cosine: bool = True

    @property
    def gain(self) -> float:
        """Returns the kNN accuracy gained over the untrained network, percentage points."""
        return self.knn - self.untrained


@dataclasses.dataclass(frozen=True)
class Verdict:
    """Holds the verdict on a row.

    Attributes:
        shows: whether the row shows what it claims.
        text: the numbers that the verdict is based on.
    """

    shows: Shows
    text: str


# A loss oscillates if its largest rise from one epoch to the next is greater than the reference's by more than this
# share of the range of the reference's losses.
OSCILLATION = 0.1
# The reference must gain at least this many percentage points of kNN accuracy, or comparisons with it tell nothing.
LEAST_GAIN = 3.0


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


def _difference(ours: Outcome, reference: Outcome, rows: Rows) -> tuple[str, int | None]:
    """Returns how a row's accuracy differs from the reference's, in words and as a sign.

    The sign is -1, 0 (within noise) or 1; it is `None` if the noise is not known.
    """
    by, margin = ours.top1 - reference.top1, noise(rows, ours, reference)
    if margin is None:
        return f"{by:+.1f} points (one seed each: noise not measured)", None
    if abs(by) <= margin:
        return f"{by:+.1f} points, within noise (+-{margin:.1f})", 0
    return f"{by:+.1f} points (noise +-{margin:.1f})", 1 if by > 0 else -1


def _collapse_numbers(ours: Outcome, reference: Outcome) -> str:
    loss = f"loss {ours.loss:.3f}" + (f" (collapse: below {COLLAPSED_LOSS})" if ours.cosine else "")
    return f"{loss}, std {ours.std:.3f}, {ours.std / reference.std:.2f} of the reference's"


def _collapses(ours: Outcome, reference: Outcome, rows: Rows, limit: float = COLLAPSED_STD) -> Answer:
    """Requires a collapse, a standard deviation below `limit` times the reference's, and less than half its gain."""
    below = ours.gain < reference.gain / 2
    shows = has_collapsed(ours, reference) and ours.std < limit * reference.std and below
    return shows, f"{_collapse_numbers(ours, reference)}, {_gain(ours, reference)}"


def _collapses_to_a_point(ours: Outcome, reference: Outcome, rows: Rows) -> Answer:
    """Requires a collapse in which all z have almost the same direction."""
    return _collapses(ours, reference, rows, POINT_STD)


def _does_not_learn(ours: Outcome, reference: Outcome, rows: Rows) -> Answer:
    """Requires a loss above half the reference's negative loss, no collapse, and less than half its gain."""
    shows = ours.loss > reference.loss / 2 and not has_collapsed(ours, reference) and ours.gain < reference.gain / 2
    return shows, f"{_collapse_numbers(ours, reference)}, {_gain(ours, reference)}"


def _as_good(ours: Outcome, reference: Outcome, rows: Rows) -> Answer:
    """Requires an accuracy above the reference's, beyond noise. If the noise is not known, it may be equal."""
    text, sign = _difference(ours, reference, rows)
    if sign is None:
        return (True if ours.top1 >= reference.top1 else "undecided"), text
    return ("within noise" if sign == 0 else sign > 0), text


def _no_better(ours: Outcome, reference: Outcome, rows: Rows) -> Answer:
    """Requires an accuracy below the reference's, beyond noise. If the noise is not known, it may be equal."""
    text, sign = _difference(ours, reference, rows)
    if sign is None:
        return (True if ours.top1 <= reference.top1 else "undecided"), text
    return ("within noise" if sign == 0 else sign < 0), text


def _learns(ours: Outcome, reference: Outcome, rows: Rows) -> Answer:
    """Requires no collapse, and more than a quarter of the reference's gain."""
    text, _ = _difference(ours, reference, rows)
    shows = not has_collapsed(ours, reference) and ours.gain > reference.gain / 4
    return shows, f"{_gain(ours, reference)}, std {ours.std:.3f}; {text}"


def _is_worse(ours: Outcome, reference: Outcome, sign: int | None) -> bool | Literal["within noise", "undecided"]:
    """Returns whether a row is worse than the reference by more than noise.

    If the noise is not known, a row with less than three quarters of the reference's gain is worse. Any other row is
    undecided.
    """
    if sign is None:
        return True if ours.gain < 0.75 * reference.gain else "undecided"
    return "within noise" if sign == 0 else sign < 0


def _learns_little(ours: Outcome, reference: Outcome, rows: Rows) -> Answer:
    """Requires no collapse, and a row that is worse than the reference."""
    text, sign = _difference(ours, reference, rows)
    shows = False if has_collapsed(ours, reference) else _is_worse(ours, reference, sign)
    return shows, f"{_collapse_numbers(ours, reference)}, {_gain(ours, reference)}; {text}"


def _largest_rise(outcome: Outcome) -> float:
    """Returns the largest rise of the loss from one epoch to the next in any run.

    The losses are not averaged over the runs first, because the mean would hide the rises of each.
    """
    pairs = (pair for losses in outcome.losses for pair in itertools.pairwise(losses))
    return max((after - before for before, after in pairs), default=0.0)


def _range(outcome: Outcome) -> float:
    """Returns the range of the losses, in the run where it is smallest."""
    return min((max(losses) - min(losses) for losses in outcome.losses), default=0.0)


def _unstable(ours: Outcome, reference: Outcome, rows: Rows) -> Answer:
    """Requires a loss that oscillates, or a row that is worse than the reference."""
    text, sign = _difference(ours, reference, rows)
    rise, usual = (max(0.0, _largest_rise(row)) for row in (ours, reference))
    oscillates = rise > usual + OSCILLATION * _range(reference)
    shows = True if oscillates else _is_worse(ours, reference, sign)
    return shows, f"largest rise of the loss between epochs {rise:.3f} (reference {usual:.3f}); {text}"


def _gain(ours: Outcome, reference: Outcome) -> str:
    return f"kNN {ours.gain:+.1f} points over the untrained network (reference {reference.gain:+.1f})"


class Claim(NamedTuple):
    """Holds a claim about a row, and the function that checks it.

    Attributes:
        text: the claim in words.
        holds: the function from the results of the row, of its reference and of all rows to an `Answer`.
    """

    text: str
    holds: Callable[[Outcome, Outcome, Rows], Answer]


CLAIMS = {
    "collapses": Claim("collapses", _collapses),
    "collapses_to_a_point": Claim("collapses, z to one point", _collapses_to_a_point),
    "does_not_learn": Claim("the loss stays high and little is learned, without collapse", _does_not_learn),
    "as_good": Claim("as good as the reference", _as_good),
    "no_better": Claim("no better than the row without it", _no_better),
    "learns": Claim("learns, without collapse", _learns),
    "learns_little": Claim("learns less, without collapse", _learns_little),
    "unstable": Claim("unstable or worse", _unstable),
}


def judge(claim: str, ours: Outcome, reference: Outcome, rows: Sequence[Outcome]) -> Verdict:
    """Judges whether a row shows what it claims.

    A row with a diverged run shows only the claim `unstable`. If the reference diverged or hardly learned, the verdict
    is `undecided`.

    Args:
        claim: a key of `CLAIMS`, or `reference`.
        ours: the results of the row.
        reference: the results of the row that it is compared with.
        rows: the results of all rows of the experiment, from which the noise is estimated.
    """
    if ours.diverged:
        shows: dict[str, Shows] = {"unstable": "yes", "reference": "reference"}
        return Verdict(shows.get(claim, "no"), f"{ours.diverged} of {ours.seeds + ours.diverged} runs diverged")
    if claim == "reference":
        return Verdict("reference", f"kNN {ours.gain:+.1f} points over the untrained network")
    if reference.diverged or not reference.gain >= LEAST_GAIN:
        return Verdict("undecided", "the reference diverged, or learned too little to compare with")
    holds, text = CLAIMS[claim].holds(ours, reference, rows)
    return Verdict(holds if isinstance(holds, str) else ("yes" if holds else "no"), text)
