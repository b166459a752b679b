"""Judges whether the runs of a row show what the row claims, by pure functions of their numbers."""

import dataclasses
import itertools
import math
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

from simsiam_tf.config.collapse import COLLAPSED_LOSS, COLLAPSED_STD, POINT_STD
from simsiam_tf.reproduce.outcomes import Outcome, has_collapsed, noise

Shows = Literal["yes", "no", "within noise", "undecided", "reference"]
# Whether a claim holds, or why that cannot be decided; and a text with the numbers.
Answer = tuple[bool | Literal["within noise", "undecided"], str]
Rows = Sequence[Outcome]


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
# A row is not worse than the reference if it is not below it by more than this many percentage points.
NOT_WORSE = 2.0
# The step loss of an unstable row varies at least so many times as much as the reference's, and that of a stable one
# less than so many times (docs/decisions/0022-how-undecided-claims-are-judged.md).
UNSTABLE, STABLE = 1.5, 1.25


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
    """Requires a collapse in which all z have almost the same direction. A collapse that is not so far is undecided."""
    shows, text = _collapses(ours, reference, rows, POINT_STD)
    if shows or not _collapses(ours, reference, rows)[0]:
        return shows, text
    return "undecided", f"{text}; {_more_epochs(ours, reference)}"


def _does_not_learn(ours: Outcome, reference: Outcome, rows: Rows) -> Answer:
    """Requires a loss above half the reference's negative loss, no collapse, and less than half its gain.

    A larger gain is undecided, because the reference's grows with the epochs.
    """
    text = f"{_collapse_numbers(ours, reference)}, {_gain(ours, reference)}"
    if ours.loss <= reference.loss / 2 or has_collapsed(ours, reference):
        return False, text
    if ours.gain < reference.gain / 2:
        return True, text
    return "undecided", f"{text}; {_more_epochs(ours, reference)}"


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


def _not_worse(ours: Outcome, reference: Outcome, rows: Rows) -> Answer:
    """Requires an accuracy that, less noise, is at most `NOT_WORSE` points below the reference's."""
    text, sign = _difference(ours, reference, rows)
    text = f"{text}; not worse: at most {NOT_WORSE:g} below"
    by, margin = ours.top1 - reference.top1, noise(rows, ours, reference)
    if margin is not None and by - margin >= -NOT_WORSE:
        return True, text
    if sign == -1 and by < -NOT_WORSE:
        return False, text
    return "undecided", f"{text}; {_more_seeds(ours, reference)}"


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


def _learns_less(ours: Outcome, reference: Outcome, rows: Rows) -> Answer:
    """Requires features that have not collapsed, and a row that is worse than the reference.

    z is not judged: without batch norm in the heads nothing removes its mean, so that all z share a direction.
    """
    text, sign = _difference(ours, reference, rows)
    ranks = f"rank of the features {ours.rank:.1f} (untrained {ours.untrained_rank:.1f})"
    text = f"{ranks}, {_gain(ours, reference)}; {text}"
    if math.isnan(ours.rank) or math.isnan(ours.untrained_rank):
        return "undecided", f"{text}; the runs have not recorded the rank"
    if ours.rank < ours.untrained_rank or ours.gain < LEAST_GAIN:
        return False, text
    worse = _is_worse(ours, reference, sign)
    return (worse, text) if isinstance(worse, bool) else ("undecided", f"{text}; {_more_seeds(ours, reference)}")


def _largest_rise(outcome: Outcome) -> float:
    """Returns the largest rise of the loss from one epoch to the next in any run.

    The losses are not averaged over the runs first, because the mean would hide the rises of each.
    """
    pairs = (pair for losses in outcome.losses for pair in itertools.pairwise(losses))
    return max((after - before for before, after in pairs), default=0.0)


def _range(outcome: Outcome) -> float:
    """Returns the range of the losses, in the run where it is smallest."""
    return min((max(losses) - min(losses) for losses in outcome.losses), default=0.0)


def _unstable_or_worse(ours: Outcome, reference: Outcome, rows: Rows) -> Answer:
    """Requires a loss that oscillates from epoch to epoch, or a row that is worse than the reference."""
    text, sign = _difference(ours, reference, rows)
    rise, usual = (max(0.0, _largest_rise(row)) for row in (ours, reference))
    oscillates = rise > usual + OSCILLATION * _range(reference)
    shows = True if oscillates else _is_worse(ours, reference, sign)
    return shows, f"largest rise of the loss between epochs {rise:.3f} (reference {usual:.3f}); {text}"


def _unstable(ours: Outcome, reference: Outcome, rows: Rows) -> Answer:
    """Requires a loss that varies from step to step by more than the reference's."""
    if math.isnan(ours.step_spread) or math.isnan(reference.step_spread):
        return "undecided", "the runs have not recorded how the loss varies from step to step"
    times, by = ours.step_spread / reference.step_spread, ours.top1 - reference.top1
    text = f"the step loss varies by {ours.step_spread:.4f}, {times:.2f} times the reference's; {by:+.1f} points"
    if STABLE <= times < UNSTABLE:
        return "undecided", f"{text}; {_more_epochs(ours, reference)}"
    return times >= UNSTABLE, text


def _more_epochs(ours: Outcome, reference: Outcome) -> str:
    """Says that a claim needs twice the epochs, and how long these take."""
    return f"needs {2 * ours.epochs} epochs, {2 * (ours.hours + reference.hours):.1f} hours"


def _more_seeds(ours: Outcome, reference: Outcome) -> str:
    """Says that a claim needs twice the seeds, or three where there is one, and how long these take."""
    seeds = max(3, 2 * ours.seeds)
    return f"needs {seeds} seeds, {seeds * (ours.hours / ours.seeds + reference.hours / reference.seeds):.1f} hours"


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
    "learns_less": Claim("learns less, without collapse of the features", _learns_less),
    "not_worse": Claim("not worse than the reference", _not_worse),
    "unstable": Claim("unstable", _unstable),
    "unstable_or_worse": Claim("unstable or worse", _unstable_or_worse),
}


def judge(claim: str, ours: Outcome, reference: Outcome, rows: Sequence[Outcome]) -> Verdict:
    """Judges whether a row shows what it claims.

    A row with a diverged run shows only that it is unstable. If the reference diverged or hardly learned, the verdict
    is `undecided`.

    Args:
        claim: a key of `CLAIMS`, or `reference`.
        ours: the results of the row.
        reference: the results of the row that it is compared with.
        rows: the results of all rows of the experiment, from which the noise is estimated.
    """
    if ours.diverged:
        shows: dict[str, Shows] = {"unstable": "yes", "unstable_or_worse": "yes", "reference": "reference"}
        return Verdict(shows.get(claim, "no"), f"{ours.diverged} of {ours.seeds + ours.diverged} runs diverged")
    if claim == "reference":
        return Verdict("reference", f"kNN {ours.gain:+.1f} points over the untrained network")
    if reference.diverged or not reference.gain >= LEAST_GAIN:
        return Verdict("undecided", "the reference diverged, or learned too little to compare with")
    holds, text = CLAIMS[claim].holds(ours, reference, rows)
    return Verdict(holds if isinstance(holds, str) else ("yes" if holds else "no"), text)
