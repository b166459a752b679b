import math

import pytest

from simsiam_tf.reproduce.verdicts import CLAIMS, Outcome, has_collapsed, judge, noise


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
    assert shows("collapses_to_a_point", loss=-0.99, std=0.2, top1=20) == "no"
    assert shows("collapses_to_a_point", loss=-0.99, std=0.05, top1=20) == "yes"


def test_without_a_cosine_a_collapse_is_a_point():
    """Cross-entropy, and the other methods: a head without batch norm at its end is healthy at a third of SimSiam's."""
    assert has_collapsed(outcome(loss=6.2, std=0.09, cosine=False), REFERENCE)
    assert not has_collapsed(outcome(loss=6.2, std=0.3, cosine=False), REFERENCE)
    assert not has_collapsed(outcome(loss=-2.0, std=0.3, cosine=False), REFERENCE)
    assert not has_collapsed(outcome(loss=-0.5, std=0.09), REFERENCE)


def test_a_fixed_predictor_keeps_the_loss_high():
    assert shows("does_not_learn", loss=-0.1, top1=32) == "yes"
    assert shows("does_not_learn", loss=-0.5, top1=32) == "no"
    assert shows("does_not_learn", loss=-0.1, top1=44) == "no"


def test_learning_is_a_gain_of_knn_without_collapse():
    assert shows("learns", top1=40) == "yes"
    assert shows("learns", top1=33) == "no"
    assert shows("learns", top1=60, knn=33) == "no"  # a linear probe of nothing learned is above kNN of that
    assert shows("learns", top1=40, loss=-0.95, std=0.3) == "no"
    assert shows("learns_little", top1=38, loss=-0.8, std=0.6) == "yes"
    assert shows("learns_little", top1=38, loss=-0.95, std=0.3) == "no"
    assert shows("learns_little", top1=44) == "undecided"  # one seed
    assert shows("learns_little", SEVERAL, top1=44) == "within noise"
    assert shows("learns_little", SEVERAL, top1=47) == "no"


def test_instability_is_a_loss_that_rises_or_a_lower_accuracy_or_a_divergence():
    assert shows("unstable", losses=((-0.3, -0.5, -0.4),), top1=46) == "yes"
    assert shows("unstable", losses=((-0.3, -0.5, -0.49),), top1=46) == "undecided"
    of_swav = outcome(losses=((8.0, 6.0, 5.0),), cosine=False)
    assert shows("unstable", of_swav, losses=((8.0, 6.0, 6.2),), top1=46, cosine=False) == "undecided"
    assert shows("unstable", of_swav, losses=((8.0, 6.0, 6.4),), top1=46, cosine=False) == "yes"
    in_turn = ((-0.5, -0.3, -0.6, -0.4), (-0.3, -0.5, -0.4, -0.6))  # their mean falls
    assert shows("unstable", losses=in_turn, top1=46) == "yes"
    wobbling = outcome(losses=((-0.3, -0.6, -0.5),))
    assert shows("unstable", wobbling, losses=((-0.3, -0.6, -0.5),), top1=46) == "undecided"  # as the reference does
    assert shows("unstable", losses=((-0.3, -0.5),), top1=40) == "yes"
    assert shows("unstable", diverged=1, top1=math.nan) == "yes"
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
