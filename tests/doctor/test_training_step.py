"""The steps of the doctor, which tie its fixture to the independent implementation of tests/parity."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from simsiam_tf.doctor import training_step
from tests.parity import reference
from tests.parity.test_simsiam import FIXTURES, assign_initial_values, make_model

EXPECTED, TOLERANCE = training_step.expected(), training_step.TOLERANCES["float32"]


def judge(**changed):
    return training_step.compare(EXPECTED, dataclasses.replace(EXPECTED, **changed), "float32", TOLERANCE)


def test_equal_numbers_pass():
    assert judge().state == "pass"


@pytest.mark.parametrize(
    "changed",
    [
        {"losses": [*EXPECTED.losses[:-1], EXPECTED.losses[-1] + 2e-4]},
        {"losses": [float("nan"), *EXPECTED.losses[1:]]},
        {"gradients": [-EXPECTED.gradients[0], *EXPECTED.gradients[1:]]},
        {"gradients": EXPECTED.gradients[1:]},
        {"weights": [*EXPECTED.weights[:-1], 2 * EXPECTED.weights[-1]]},
        {"weights": [float("inf"), *EXPECTED.weights[1:]]},
    ],
)
def test_other_numbers_fail_and_say_how_far_they_are(changed):
    outcome = judge(**changed)
    assert outcome.state == "fail"
    assert "are allowed" in outcome.value
    assert "compare with another machine" in outcome.advice


@pytest.mark.slow
def test_the_fixture_is_what_float64_gives():
    found = training_step.fixture()
    for name, values in dataclasses.asdict(EXPECTED).items():
        np.testing.assert_allclose(found[name], values, rtol=1e-9, atol=1e-12)


@pytest.mark.slow
def test_the_same_steps_give_the_numbers_of_the_reference(float64):
    fixture = reference.load(FIXTURES[0])
    config, count = fixture["config"], 1
    model = make_model(config)
    named = assign_initial_values(model, fixture["tensors"])
    views = tuple(tf.constant(x, "float64") for x in reference.views(config["batch"], config["size"]))
    found = training_step.take_steps(
        model, views, count, again=lambda: assign_initial_values(model, fixture["tensors"])
    )
    wanted = [step["loss"] for step in fixture["steps"][:count]]
    np.testing.assert_allclose(found.losses, wanted, atol=1e-10)
    of_reference = {id(variable): name for name, variable in named.items()}
    lengths = [fixture["steps"][0]["grad_l2"][of_reference[id(v)]] for v in model.trainable_variables]
    np.testing.assert_allclose(found.gradients, lengths, rtol=1e-8, atol=1e-11)
