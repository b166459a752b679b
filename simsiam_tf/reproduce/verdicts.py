"""What a row's runs say about what the row claims: pure functions of their numbers."""

import dataclasses
import itertools
import math
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

from simsiam_tf.config.collapse import COLLAPSED_LOSS, COLLAPSED_STD, POINT_STD

Shows = Literal["yes", "no", "within noise", "undecided", "reference"]
# A claim's answer: whether it shows, or why that cannot be told; and the numbers.
Answer = tuple[bool | Literal["within noise", "undecided"], str]
Rows = Sequence["Outcome"]


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What the runs of a row came to; each number is the mean over the seeds that came to an end.

    Attributes:
        seeds: runs that came to an end.
        top1: accuracy by the protocol that rows are compared by, percent.
        knn: kNN top-1, percent.
        untrained: kNN top-1 before the first step, percent.
        loss: of the last epoch.
        std: of z/|z|, times sqrt(d), in the last epoch.
        losses: of each epoch, for each seed.
        spread: sample standard deviation of `top1` over seeds; `None` of a single one.
        diverged: runs that ended in a loss that is no number.
        cosine: whether the loss is a cosine, which -1 bounds.
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
        """Points of kNN above the untrained network."""
        return self.knn - self.untrained


@dataclasses.dataclass(frozen=True)
class Verdict:
    """Whether a claim shows, and by what numbers.

    Attributes:
        shows: the answer.
        text: the numbers.
    """

    shows: Shows
    text: str


# A loss oscillates that rises more than the reference's from one epoch to the next, by this share of its whole range.
OSCILLATION = 0.1
# Points of kNN that the reference must have gained for anything to be told from it.
LEAST_GAIN = 3.0


def noise(rows: Sequence[Outcome], ours: Outcome, reference: Outcome) -> float | None:
    """Two standard errors of a difference of accuracies, from the spread over seeds of all rows that have several.

    Args:
        rows: of the experiment.
        ours: the row.
        reference: what it is compared with.

    Returns:
        Points, or `None` where every row has a single seed.
    """
    known = [(row.spread, row.seeds - 1) for row in rows if row.spread is not None]
    if not known:
        return None
    variance = sum(spread**2 * freedom for spread, freedom in known) / sum(freedom for _, freedom in known)
    return 2 * math.sqrt(variance * (1 / ours.seeds + 1 / reference.seeds))


def has_collapsed(ours: Outcome, reference: Outcome) -> bool:
    """By the loss and the standard deviation of z; where the loss is no cosine, by z that has become a point.

    Such a loss has no bound that tells of a collapse. And a head without batch norm on its output, as BYOL's, MoCo's
    and SwAV's are, leaves z a mean, so that in good health its deviation may be less than half of SimSiam's.
    """
    if not ours.cosine:
        return ours.std < POINT_STD * reference.std
    return ours.loss < COLLAPSED_LOSS and ours.std < COLLAPSED_STD * reference.std


def _difference(ours: Outcome, reference: Outcome, rows: Rows) -> tuple[str, int | None]:
    """How a row stands to the reference in words, and as -1, 0 (within noise) or 1; `None` where noise is not known."""
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
    below = ours.gain < reference.gain / 2
    shows = has_collapsed(ours, reference) and ours.std < limit * reference.std and below
    return shows, f"{_collapse_numbers(ours, reference)}, {_gain(ours, reference)}"


def _collapses_to_a_point(ours: Outcome, reference: Outcome, rows: Rows) -> Answer:
    return _collapses(ours, reference, rows, POINT_STD)


def _does_not_learn(ours: Outcome, reference: Outcome, rows: Rows) -> Answer:
    """The loss stays in the upper half between 0 and the reference's, and nothing collapses."""
    shows = ours.loss > reference.loss / 2 and not has_collapsed(ours, reference) and ours.gain < reference.gain / 2
    return shows, f"{_collapse_numbers(ours, reference)}, {_gain(ours, reference)}"


def _as_good(ours: Outcome, reference: Outcome, rows: Rows) -> Answer:
    text, sign = _difference(ours, reference, rows)
    if sign is None:
        return (True if ours.top1 >= reference.top1 else "undecided"), text
    return ("within noise" if sign == 0 else sign > 0), text


def _no_better(ours: Outcome, reference: Outcome, rows: Rows) -> Answer:
    text, sign = _difference(ours, reference, rows)
    if sign is None:
        return (True if ours.top1 <= reference.top1 else "undecided"), text
    return ("within noise" if sign == 0 else sign < 0), text


def _learns(ours: Outcome, reference: Outcome, rows: Rows) -> Answer:
    text, _ = _difference(ours, reference, rows)
    shows = not has_collapsed(ours, reference) and ours.gain > reference.gain / 4
    return shows, f"{_gain(ours, reference)}, std {ours.std:.3f}; {text}"


def _is_worse(ours: Outcome, reference: Outcome, sign: int | None) -> bool | Literal["within noise", "undecided"]:
    """By noise, or without it where a quarter of what the reference gained is lacking; else undecided."""
    if sign is None:
        return True if ours.gain < 0.75 * reference.gain else "undecided"
    return "within noise" if sign == 0 else sign < 0


def _learns_little(ours: Outcome, reference: Outcome, rows: Rows) -> Answer:
    text, sign = _difference(ours, reference, rows)
    shows = False if has_collapsed(ours, reference) else _is_worse(ours, reference, sign)
    return shows, f"{_collapse_numbers(ours, reference)}, {_gain(ours, reference)}; {text}"


def _largest_rise(outcome: Outcome) -> float:
    """From one epoch to the next, in any of its runs: the mean of several would hide what each of them does."""
    pairs = (pair for losses in outcome.losses for pair in itertools.pairwise(losses))
    return max((after - before for before, after in pairs), default=0.0)


def _range(outcome: Outcome) -> float:
    """Of its losses, in the run where that is smallest."""
    return min((max(losses) - min(losses) for losses in outcome.losses), default=0.0)


def _unstable(ours: Outcome, reference: Outcome, rows: Rows) -> Answer:
    text, sign = _difference(ours, reference, rows)
    rise, usual = (max(0.0, _largest_rise(row)) for row in (ours, reference))
    oscillates = rise > usual + OSCILLATION * _range(reference)
    shows = True if oscillates else _is_worse(ours, reference, sign)
    return shows, f"largest rise of the loss between epochs {rise:.3f} (reference {usual:.3f}); {text}"


def _gain(ours: Outcome, reference: Outcome) -> str:
    return f"kNN {ours.gain:+.1f} points over the untrained network (reference {reference.gain:+.1f})"


class Claim(NamedTuple):
    """What a row is to show.

    Attributes:
        text: in words.
        holds: from the row, the reference and all rows to whether it does (or `within noise`), and the numbers.
    """

    text: str
    holds: Callable[[Outcome, Outcome, Rows], Answer]


CLAIMS = {
    "collapses": Claim("collapses", _collapses),
    "collapses_to_a_point": Claim("collapses, z to one point", _collapses_to_a_point),
    "does_not_learn": Claim("the loss stays high and little is learned, without collapse", _does_not_learn),
    "as_good": Claim("as good as the reference", _as_good),
    "no_better": Claim("no better than without", _no_better),
    "learns": Claim("learns, without collapse", _learns),
    "learns_little": Claim("learns less, without collapse", _learns_little),
    "unstable": Claim("unstable or worse", _unstable),
}


def judge(claim: str, ours: Outcome, reference: Outcome, rows: Sequence[Outcome]) -> Verdict:
    """Whether a row shows what it claims.

    Args:
        claim: a key of `CLAIMS`, or `reference`.
        ours: the row.
        reference: what it is compared with.
        rows: all of the experiment, whose spread over seeds is the noise.
    """
    if ours.diverged:
        shows: dict[str, Shows] = {"unstable": "yes", "reference": "reference"}
        return Verdict(shows.get(claim, "no"), f"{ours.diverged} of {ours.seeds + ours.diverged} runs diverged")
    if claim == "reference":
        return Verdict("reference", f"kNN {ours.gain:+.1f} points over the untrained network")
    if reference.diverged or not reference.gain >= LEAST_GAIN:
        return Verdict("undecided", "the reference diverged, or gained too little for anything to be told from it")
    holds, text = CLAIMS[claim].holds(ours, reference, rows)
    return Verdict(holds if isinstance(holds, str) else ("yes" if holds else "no"), text)
