"""Orders the causes of what goes wrong, for the settings of a run, and says what to try."""

import dataclasses
from collections.abc import Callable
from enum import StrEnum

from simsiam_tf.guard.facts import Facts


class State(StrEnum):
    """Names how a run is doing. The values stand in metrics.jsonl and summary.json."""

    HEALTHY = "healthy"
    POINT = "collapsed to a point"
    DIRECTION = "collapsed to a direction"
    DIMENSIONAL = "dimensional collapse"
    DIVERGING = "diverging"
    NOT_LEARNING = "not learning"
    SOMETHING_ELSE = "learning something else"


COLLAPSES = frozenset({State.POINT, State.DIRECTION, State.DIMENSIONAL})
_ALIKE = frozenset({State.POINT, State.DIMENSIONAL})

# Below these a setting is weak or small enough to be a cause; they are those of the kept runs of docs/results/guard.md.
_SMALL_BATCH, _FEW_IMAGES = 32, 1000
_HIGH_RATE, _LOW_RATE, _HIGH_DECAY = 1.0, 0.003, 2e-3
_WEAK_CROP, _STRONG_CROP = 0.6, 0.05


@dataclasses.dataclass(frozen=True)
class Cause:
    """Describes one cause.

    Attributes:
        states: the states that it leads to.
        applies: returns whether the settings of a run make it likely; a setting that is not known does not.
        words: what is wrong, as a part of a sentence.
        cure: what to do, with the flag, as a part of a sentence.
    """

    states: frozenset[State]
    applies: Callable[[Facts], bool]
    words: str
    cure: str


def _below(value: float | None, limit: float) -> bool:
    return value is not None and value < limit


def _above(value: float | None, limit: float) -> bool:
    return value is not None and value > limit


# Those that come first are named first.
CAUSES: tuple[Cause, ...] = (
    Cause(
        _ALIKE | {State.DIVERGING},
        lambda f: f.stop_gradient is False and f.method in ("simsiam", "swav"),
        "the stop-gradient is off (paper Sec. 4.1, 6.2)",
        "leave --nostop_gradient out",
    ),
    Cause(
        _ALIKE,
        lambda f: f.predictor == "identity" and f.method in ("simsiam", "byol"),
        "there is no predictor (Sec. 4.2)",
        "use --predictor=mlp",
    ),
    Cause(
        frozenset({State.NOT_LEARNING, State.SOMETHING_ELSE}),
        lambda f: f.predictor == "fixed",
        "the predictor keeps its random weights (Sec. 4.2)",
        "use --predictor=mlp",
    ),
    Cause(
        frozenset({State.DIRECTION, State.POINT}),
        lambda f: f.bn_placement == "none",
        "the heads have no batch norm, which would take off the mean of all images (Sec. 4.4)",
        "use --bn_placement=release",
    ),
    Cause(
        _ALIKE | {State.NOT_LEARNING, State.DIVERGING},
        lambda f: _below(f.batch_size and f.batch_size / f.accumulate_steps, _SMALL_BATCH),
        "batch norm sees few images at a time",
        "raise --global_batch_size, or lower --accumulate_steps",
    ),
    Cause(
        frozenset(State) - {State.HEALTHY},
        lambda f: _above(f.base_learning_rate, _HIGH_RATE),
        "the learning rate is high",
        "lower --base_learning_rate, or use --warmup_epochs",
    ),
    Cause(
        frozenset({State.NOT_LEARNING}),
        lambda f: _below(f.base_learning_rate, _LOW_RATE),
        "the learning rate is low",
        "raise --base_learning_rate; it is that of a batch of 256, and is scaled to yours",
    ),
    Cause(
        _ALIKE | {State.NOT_LEARNING, State.SOMETHING_ELSE},
        lambda f: _above(f.weight_decay, _HIGH_DECAY),
        "the weight decay pulls all weights to 0",
        "lower --weight_decay",
    ),
    Cause(
        frozenset({State.SOMETHING_ELSE, State.DIMENSIONAL, State.POINT}),
        lambda f: _above(f.crop_min_scale, _WEAK_CROP) or f.changes_colours is False,
        "the two views of an image are so alike that colours or places tell them",
        "lower --crop_min_scale, or use --augmentation=simsiam_cifar or simsiam",
    ),
    Cause(
        frozenset({State.NOT_LEARNING, State.SOMETHING_ELSE}),
        lambda f: _below(f.crop_min_scale, _STRONG_CROP),
        "the crops are so small that two of them share nothing",
        "raise --crop_min_scale",
    ),
    Cause(
        frozenset({State.SOMETHING_ELSE, State.DIMENSIONAL, State.POINT}),
        lambda f: _below(f.images, _FEW_IMAGES),
        "there are few images to tell apart",
        "use more images, or begin with --init_weights",
    ),
    Cause(
        frozenset({State.DIVERGING, State.NOT_LEARNING}),
        lambda f: f.precision == "float16",
        "float16 overflows early",
        "use --precision=bfloat16 or float32",
    ),
)

# What may be the cause whatever the settings are, and what to do about it.
OTHERWISE: dict[State, tuple[str, ...]] = {
    State.POINT: (
        "images that are alike or constant (look at them by `python -m simsiam_tf.cli.preview`)",
        "a learning rate that is too high (--base_learning_rate)",
        "a weight decay that is too strong (--weight_decay)",
    ),
    State.DIRECTION: ("heads without batch norm (--bn_placement)", "images that are alike or constant"),
    State.DIMENSIONAL: (
        "images that differ in little (look at them by `python -m simsiam_tf.cli.preview`)",
        "a learning rate that is too high (--base_learning_rate)",
        "a weight decay that is too strong (--weight_decay)",
    ),
    State.DIVERGING: (
        "a learning rate that is too high or rises too fast (--base_learning_rate, --warmup_epochs)",
        "a precision that is too low (--precision=float32)",
    ),
    State.NOT_LEARNING: (
        "a learning rate that is too low or too high (--base_learning_rate)",
        "views that share nothing (--crop_min_scale)",
        "images that are constant (look at them by `python -m simsiam_tf.cli.preview`)",
    ),
    State.SOMETHING_ELSE: (
        "views that colours, borders or marks in the images tell apart (look at them by "
        "`python -m simsiam_tf.cli.preview`)",
        "labels that name something else than what the images show",
        "too few epochs, or a learning rate that is too high (--epochs, --base_learning_rate)",
    ),
}


def likely_causes(state: State, facts: Facts) -> list[Cause]:
    """Returns the causes of a state that the settings of a run make likely, the likeliest first.

    Args:
        state: the state of the run.
        facts: the settings of the run.

    Example:
        >>> [cause.cure for cause in likely_causes(State.POINT, Facts(method="simsiam", stop_gradient=False))]
        ['leave --nostop_gradient out']
    """
    return [cause for cause in CAUSES if state in cause.states and cause.applies(facts)]
