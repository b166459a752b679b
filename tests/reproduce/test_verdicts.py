import dataclasses
import math

import pytest

from simsiam_tf.reproduce.outcomes import Outcome, has_collapsed, noise
from simsiam_tf.reproduce.verdicts import CLAIMS, judge


def outcome(**changes):
    """kNN is the accuracy that rows are compared by, unless said otherwise."""
    values = {"seeds": 1, "top1": 45.0, "untrained": 30.0, "loss": -0.7, "std": 1.0, **changes}
    return Outcome(**{"knn": values["top1"], **values})


REFERENCE = outcome(losses=((-0.3, -0.6, -0.7),))
SEVERAL = outcome(seeds=3, spread=0.6, losses=((-0.3, -0.6, -0.7),))


def shows(claim, reference=REFERENCE, **changes):
    ours = outcome(**changes)
    return judge(claim, ours, reference, [ours, reference]).shows


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"loss": -0.97, "std": 0.2, "top1": 22.0}, "yes"),
        ({"loss": -0.89, "std": 0.2, "top1": 22.0}, "no"),  # the loss is not low enough
        ({"loss": -0.97, "std": 0.51, "top1": 22.0}, "no"),  # z still varies
        ({"loss": -0.97, "std": 0.2, "top1": 38.0}, "no"),  # and kNN is not well below
    ],
)
def test_a_collapse_needs_loss_deviation_and_accuracy(changes, expected):
    assert shows("collapses", **changes) == expected


def test_a_collapse_to_one_point_needs_hardly_any_deviation():
    assert shows("collapses_to_a_point", loss=-0.99, std=0.05, top1=20) == "yes"
    assert shows("collapses_to_a_point", loss=-0.99, std=0.2, top1=20) == "undecided"  # not yet
    assert shows("collapses_to_a_point", loss=-0.99, std=0.05, top1=44) == "no"
    assert shows("collapses_to_a_point", loss=-0.8, std=0.05, top1=20) == "no"


def test_without_a_cosine_a_collapse_is_a_point():
    """Cross-entropy, and the other methods: a head without batch norm at its end is healthy at a third of SimSiam's."""
    assert has_collapsed(outcome(loss=6.2, std=0.09, cosine=False), REFERENCE)
    assert not has_collapsed(outcome(loss=6.2, std=0.3, cosine=False), REFERENCE)
    assert not has_collapsed(outcome(loss=-2.0, std=0.3, cosine=False), REFERENCE)
    assert not has_collapsed(outcome(loss=-0.5, std=0.09), REFERENCE)


def test_a_fixed_predictor_keeps_the_loss_high():
    assert shows("does_not_learn", loss=-0.1, top1=32) == "yes"
    assert shows("does_not_learn", loss=-0.5, top1=32) == "no"
    assert shows("does_not_learn", loss=-0.1, top1=44) == "undecided"  # the reference's gain grows with the epochs
    assert shows("does_not_learn", loss=-0.99, std=0.1, top1=20) == "no"


def test_learning_is_a_gain_of_knn_without_collapse():
    assert shows("learns", top1=40) == "yes"
    assert shows("learns", top1=33) == "no"
    assert shows("learns", top1=60, knn=33) == "no"  # a linear probe of nothing learned is above kNN of that
    assert shows("learns", top1=40, loss=-0.95, std=0.3) == "no"


def test_learning_less_is_judged_by_the_features():
    collapsed_z = {"loss": -0.99, "std": 0.16, "rank": 22.9, "untrained_rank": 10.3}
    assert shows("learns_less", top1=38, **collapsed_z) == "yes"
    assert shows("learns_less", top1=32.5, **collapsed_z) == "no"  # kNN has hardly risen
    assert shows("learns_less", top1=38, **{**collapsed_z, "rank": 10.2}) == "no"
    assert shows("learns_less", top1=38) == "undecided"  # no rank on record
    assert shows("learns_less", top1=38, rank=22.9) == "undecided"  # none of the untrained network
    assert shows("learns_less", top1=44, **collapsed_z) == "undecided"  # one seed
    assert shows("learns_less", SEVERAL, top1=44, **collapsed_z) == "undecided"  # within noise
    assert shows("learns_less", SEVERAL, top1=43, **collapsed_z) == "yes"
    assert shows("learns_less", SEVERAL, top1=47, **collapsed_z) == "no"


def test_not_worse_allows_two_points_and_takes_the_noise_off():
    assert shows("not_worse", top1=45.0) == "undecided"  # one seed
    assert noise([SEVERAL], SEVERAL, SEVERAL) == pytest.approx(0.98, abs=0.01)
    assert shows("not_worse", SEVERAL, seeds=3, top1=44.0) == "yes"  # 1.98 below at the worst
    assert shows("not_worse", SEVERAL, seeds=3, top1=43.9) == "undecided"
    assert shows("not_worse", SEVERAL, seeds=3, top1=43.1) == "undecided"  # below by more than noise, but not by 2
    assert shows("not_worse", SEVERAL, seeds=3, top1=42.9) == "no"


def test_instability_is_a_step_loss_that_varies():
    steady = outcome(step_spread=0.01, epochs=10, hours=0.5, seeds=3)
    assert shows("unstable", steady, step_spread=0.0151) == "yes"
    assert shows("unstable", steady, step_spread=0.0149) == "undecided"
    assert shows("unstable", steady, step_spread=0.0124) == "no"
    assert shows("unstable", steady) == "undecided"
    assert shows("unstable", step_spread=0.1) == "undecided"
    assert shows("unstable", steady, diverged=1, top1=math.nan) == "yes"


def test_undecided_says_what_it_needs():
    reference, ours = (outcome(epochs=10, hours=0.75, seeds=3, spread=0.6, top1=top1) for top1 in (45.0, 43.5))
    assert judge("not_worse", ours, reference, [ours, reference]).text.endswith("; needs 6 seeds, 3.0 hours")
    one = dataclasses.replace(ours, seeds=1, spread=None, hours=0.25)
    assert judge("not_worse", one, one, [one]).text.endswith("; needs 3 seeds, 1.5 hours")
    point = dataclasses.replace(ours, loss=-0.99, std=0.2, top1=20.0, knn=20.0)
    assert judge("collapses_to_a_point", point, reference, [point]).text.endswith("; needs 20 epochs, 3.0 hours")


def test_a_loss_that_rises_or_a_lower_accuracy_or_a_divergence_is_unstable_or_worse():
    assert shows("unstable_or_worse", losses=((-0.3, -0.5, -0.4),), top1=46) == "yes"
    assert shows("unstable_or_worse", losses=((-0.3, -0.5, -0.49),), top1=46) == "undecided"
    of_swav = outcome(losses=((8.0, 6.0, 5.0),), cosine=False)
    assert shows("unstable_or_worse", of_swav, losses=((8.0, 6.0, 6.2),), top1=46, cosine=False) == "undecided"
    assert shows("unstable_or_worse", of_swav, losses=((8.0, 6.0, 6.4),), top1=46, cosine=False) == "yes"
    in_turn = ((-0.5, -0.3, -0.6, -0.4), (-0.3, -0.5, -0.4, -0.6))  # their mean falls
    assert shows("unstable_or_worse", losses=in_turn, top1=46) == "yes"
    wobbling = outcome(losses=((-0.3, -0.6, -0.5),))
    assert (
        shows("unstable_or_worse", wobbling, losses=((-0.3, -0.6, -0.5),), top1=46) == "undecided"
    )  # as the reference does
    assert shows("unstable_or_worse", losses=((-0.3, -0.5),), top1=40) == "yes"
    assert shows("unstable_or_worse", diverged=1, top1=math.nan) == "yes"
    assert shows("learns", diverged=1, top1=math.nan) == "no"


@pytest.mark.parametrize("claim", CLAIMS)
@pytest.mark.parametrize("reference", [Outcome(seeds=0, diverged=1), outcome(top1=31.0)])
def test_nothing_is_told_from_a_reference_that_learned_nothing(claim, reference):
    assert shows(claim, reference, top1=30.5) == "undecided"


def test_noise_is_two_standard_errors_from_the_spread_over_seeds():
    reference = outcome(seeds=3, spread=0.6)
    assert noise([outcome(), REFERENCE], outcome(), REFERENCE) is None
    assert noise([outcome(), reference], outcome(), reference) == pytest.approx(2 * 0.6 * (1 + 1 / 3) ** 0.5)
    pooled = noise([outcome(seeds=2, spread=1.2), reference], outcome(), reference)
    assert pooled == pytest.approx(2 * ((1.2**2 + 2 * 0.6**2) / 3) ** 0.5 * (1 + 1 / 3) ** 0.5)
    assert shows("as_good", reference, top1=44.0) == "within noise"
    assert shows("as_good", reference, top1=43.0) == "no"
    assert shows("as_good", reference, top1=47.0) == "yes"
    assert shows("as_good", top1=44.9) == "undecided"
    assert shows("as_good", top1=45.1) == "yes"
