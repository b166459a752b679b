"""Decides whether a run is better or worse than another network, and says it in a sentence."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Literal

from simsiam_tf.evaluation.comparison.bootstrap import LEVEL, Difference

Answer = Literal["better", "worse", "not to be told apart"]
_CONJUNCTIONS: dict[Answer, str] = {"better": "than", "worse": "than", "not to be told apart": "from"}


def deciding_level(count: int) -> float:
    """Returns the level of the intervals that decide by some measures together (Bonferroni).

    If two networks are equal, then in at least 95 of 100 sets of test images no measure at all tells them apart.

    Args:
        count: the number of measures that decide.
    """
    return 1 - (1 - LEVEL) / count


@dataclasses.dataclass(frozen=True)
class Verdict:
    """Holds the answer of a comparison with one network.

    Attributes:
        other: the name of the other network.
        answer: whether the run is better, worse, or not to be told apart.
        reason: the measures that the answer hangs on, as a phrase.
    """

    other: str
    answer: Answer
    reason: str

    @classmethod
    def from_differences(cls, other: str, differences: Mapping[str, Difference]) -> "Verdict":
        """Decides by the measures that count.

        The run is better if at least one measure says so and none says the contrary; and worse the other way round. If
        measures contradict each other, or none tells a direction, the networks are not to be told apart.

        Args:
            other: the name of the other network.
            differences: the differences of the deciding measures, by the measures' titles.

        Example:
            Verdict.from_differences("the untrained network", {"kNN": difference}).answer
        """
        better = ", ".join(_with_points(title, d) for title, d in differences.items() if d.direction > 0)
        worse = ", ".join(_with_points(title, d) for title, d in differences.items() if d.direction < 0)
        if better and worse:
            return cls(other, "not to be told apart", f"better by {better}, but worse by {worse}")
        if better or worse:
            return cls(other, "better" if better else "worse", f"by {better or worse}")
        all_of_them = ", ".join(_with_points(title, d) for title, d in differences.items())
        return cls(other, "not to be told apart", f"no measure differs by more than chance: {all_of_them}")


def sentence_of(verdicts: Sequence[Verdict]) -> str:
    """Says all verdicts in one sentence."""
    parts = [f"{v.answer} {_CONJUNCTIONS[v.answer]} {v.other} ({v.reason})" for v in verdicts]
    return f"This run is {'; and '.join(parts)}."


def _with_points(title: str, difference: Difference) -> str:
    return f"{title} {difference.points:+.2f} points"
