import types

import pytest

from simsiam_tf.distribute.strategy import ONE_DEVICE
from simsiam_tf.doctor import length
from simsiam_tf.doctor.checks import Asked
from tests.doctor.runs import config_of


@pytest.fixture
def judge(monkeypatch):
    source = types.SimpleNamespace(num_examples=1600, labels=None, name="some")
    images = types.SimpleNamespace(source=source)
    monkeypatch.setattr(length, "strategy_of", lambda config: ONE_DEVICE)
    monkeypatch.setattr(length, "images_of", lambda config: images)

    def judge(*flags, **facts):
        return length.length(Asked(config_of("--knn_every_epochs=0", *flags), facts={"reading": 0.1, **facts}))

    return judge


def test_computing_and_reading_share_a_cpu(judge):
    outcome = judge("--epochs=10", step=0.5)  # 1000 steps of 0.6 s, and a report of 1600 images
    assert (outcome.state, outcome.value) == ("pass", "about 11 minutes for 10 epochs, from the start")


def test_targets_that_are_computed_ahead_take_their_time(judge):
    """1000 steps of 0.867 s: each has a third of a step more, and makes its batch twice."""
    plain, ahead = (judge("--epochs=10", f"--alternation_steps={k}", step=0.5).value for k in (1, 4))
    assert plain.startswith("about 11 minutes") and ahead.startswith("about 16 minutes")


def test_weeks_are_warned_of_with_the_time_of_an_epoch(judge):
    outcome = judge("--epochs=1", step=7000.0)
    assert outcome.state == "warn"
    assert outcome.value == "about 9 days for 1 epoch, from the start"
    assert outcome.advice.startswith("one epoch takes about 9 days")
