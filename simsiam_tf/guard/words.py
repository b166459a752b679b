"""Puts a state of a run into words: what was measured, what it means, what may be the cause, and what to try."""

import re
from collections.abc import Mapping

from simsiam_tf.guard.causes import OTHERWISE, State, likely_causes
from simsiam_tf.guard.facts import Facts

_MEANINGS = {
    State.POINT: "All images have nearly the same z, which can make the loss small and says nothing about them.",
    State.DIRECTION: "All z share one direction, so the loss compares little else, though the features still differ.",
    State.DIMENSIONAL: "z varies in hardly more than one direction, so that images differ in one thing only.",
    State.DIVERGING: "The gradient grows without end.",
    State.NOT_LEARNING: "The loss stands where it began, or where chance is.",
    State.SOMETHING_ELSE: (
        "The loss falls, but images of one class are no nearer to each other than in the untrained network: what the "
        "views have in common is not what the labels name."
    ),
}
# The measures that are named, and what each is in a healthy run.
_MEASURES: dict[State, tuple[tuple[str, str], ...]] = {
    State.POINT: (("z_std_scaled", "near 1"), ("z_mean_length", "near 0"), ("loss", "")),
    State.DIRECTION: (("z_std_scaled", "near 1"), ("z_mean_length", "near 0"), ("feature_rank", "")),
    State.DIMENSIONAL: (("z_rank", "above 2"), ("feature_rank", "above 2"), ("loss", "")),
    State.DIVERGING: (("gradient_norm", ""), ("loss", "")),
    State.NOT_LEARNING: (("loss", ""), ("gradient_norm", "")),
    State.SOMETHING_ELSE: (("knn_top1", ""), ("loss", "")),
}
_MOST_CAUSES = 3
_FLAG = re.compile(r"--\w+")


def warning(state: State, step: int, total_steps: int, measured: Mapping[str, float], facts: Facts) -> str:
    """Returns the sentences that warn of a state.

    Args:
        state: the state of the run, which is not healthy.
        step: the number of steps so far.
        total_steps: the number of steps of the run; 0 if that is not known.
        measured: the means of the last window by name, and kNN if it was measured.
        facts: the settings of the run.
    """
    numbers = [
        f"{name} {measured[name]:.3g}{f' (healthy: {healthy})' if healthy else ''}"
        for name, healthy in _MEASURES[state]
        if name in measured
    ]
    if state is State.SOMETHING_ELSE and facts.untrained_knn is not None:
        numbers.append(f"knn_top1 of the untrained network {facts.untrained_knn:.3g}")
    where = f"step {step:,} of {total_steps:,}" if total_steps else f"step {step:,}"
    what = "in a dimensional collapse" if state is State.DIMENSIONAL else str(state)
    return f"{where}: the run is {what}: {', '.join(numbers)}. {_MEANINGS[state]} {_advice(state, facts)}"


def _advice(state: State, facts: Facts) -> str:
    """Returns the causes that the settings make likely, then those that may always be."""
    likely = likely_causes(state, facts)[:_MOST_CAUSES]
    sentences = []
    if likely:
        listed = "; ".join(f"{cause.words}: {cause.cure}" for cause in likely)
        sentences.append(f"The likeliest cause{'s' if len(likely) > 1 else ''} here, by the settings: {listed}.")
    named = set(_FLAG.findall(" ".join(cause.cure for cause in likely)))
    others = [other for other in OTHERWISE[state] if not named & set(_FLAG.findall(other))]
    others = others[: max(1, _MOST_CAUSES - len(likely))]
    if others:
        sentences.append(f"{'It may also be' if likely else 'It may be'} {'; or '.join(others)}.")
    return " ".join(sentences)
