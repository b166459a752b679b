import types

import pytest

from simsiam_tf.cli.flags import training_config_of
from simsiam_tf.doctor import demo
from simsiam_tf.doctor.checks import Asked
from simsiam_tf.training.trial import Trial
from tests.conftest import ROOT


def test_the_settings_are_those_of_the_recipe():
    recipe = training_config_of([f"--flagfile={ROOT}/flags/recipes/shapes_demo.flags", "--workdir=w"])
    assert demo.config("w") == recipe


@pytest.mark.parametrize(("seconds", "state"), [(0.15, "pass"), (0.9, "pass"), (1.1, "warn")])
def test_a_slow_machine_is_warned_of(monkeypatch, seconds, state):
    images = types.SimpleNamespace(source=types.SimpleNamespace(num_examples=5000))
    monkeypatch.setattr(demo, "_images", lambda config: images)
    monkeypatch.setattr(demo, "measure", lambda *args: Trial(seconds, 0.001))
    outcome = demo.step(Asked())
    assert outcome.state == state
    assert outcome.value.startswith(f"{seconds:.2g} s for 64 images ({64 / seconds:,.0f} images/s)")
    assert ("end other programs" in outcome.advice) == (state == "warn")
