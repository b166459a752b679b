import types

import pytest

from simsiam_tf.distribute.strategy import ONE_DEVICE
from simsiam_tf.doctor import settings
from simsiam_tf.doctor.checks import Asked
from simsiam_tf.errors import UsageError
from simsiam_tf.training import limits
from tests.doctor.runs import config_of


@pytest.fixture(autouse=True)
def opened(monkeypatch):
    """Devices of another process are not made here."""
    monkeypatch.setattr(settings, "strategy_of", lambda config: ONE_DEVICE)


def test_settings_in_a_line():
    outcome = settings.settings(Asked(config_of()))
    assert (outcome.state, outcome.value) == ("pass", "simsiam, resnet18, batch 16, float32, 1 replica")


def test_float16_on_a_cpu_is_warned_of():
    assert settings.settings(Asked(config_of("--precision=float16"))).state == "warn"


def test_a_batch_that_cannot_fit_is_refused_with_the_greatest_that_can(monkeypatch):
    monkeypatch.setattr(limits, "available_memory", lambda: 2**28)
    config = config_of("--global_batch_size=100000")

    fitting = settings.greatest_batch(config)
    limits.check_memory(config_of(f"--global_batch_size={fitting}"))
    with pytest.raises(UsageError):
        limits.check_memory(config_of(f"--global_batch_size={fitting + 1}"))
    with pytest.raises(UsageError, match=rf"At most {fitting} images can fit at once\. Received: settings that need"):
        settings.settings(Asked(config))


@pytest.mark.parametrize("gib", [64, 1e-6])
def test_no_batch_is_named_if_it_is_not_the_batch(monkeypatch, gib):
    monkeypatch.setattr(limits, "available_memory", lambda: int(gib * 2**30))
    assert settings.greatest_batch(config_of()) == 0


def test_other_refusals_stay_as_they_are():
    with pytest.raises(UsageError, match="--global_batch_size must be a multiple"):
        settings.settings(Asked(config_of("--accumulate_steps=3")))


def images(count, constant=0):
    source = types.SimpleNamespace(num_examples=count, labels=None, name="some")
    sight = types.SimpleNamespace(constant=constant, looked_at=count)
    return types.SimpleNamespace(source=source, sight=sight, lines=["40 images.", "Looked at 40: nothing unusual."])


def test_the_data_set_is_told_in_the_words_of_a_run(monkeypatch):
    monkeypatch.setattr(settings, "images_of", lambda config: images(40))
    outcome = settings.data_set(Asked(config_of()))
    assert (outcome.state, outcome.value) == ("pass", "40 images; Looked at 40: nothing unusual")
    monkeypatch.setattr(settings, "images_of", lambda config: images(40, constant=1))
    assert settings.data_set(Asked(config_of())).state == "warn"


def test_images_that_fill_no_batch_are_refused(monkeypatch):
    monkeypatch.setattr(settings, "images_of", lambda config: images(15))
    with pytest.raises(UsageError, match="--global_batch_size must not exceed the 15 training images"):
        settings.data_set(Asked(config_of()))


def test_chosen_settings_are_given_as_flags(monkeypatch):
    class Chosen:
        def __init__(self, parse, given, budget_minutes, writes):
            assert (given, budget_minutes, writes) == ({"epochs": 3}, 60.0, False)
            self.parse = parse

        def __call__(self, config, images, strategy):
            return self.parse(["--width=0.25", "--image_size=96"])

    monkeypatch.setattr(settings, "images_of", lambda config: images(40))
    monkeypatch.setattr(settings, "ChosenSettings", Chosen)
    asked = Asked(config_of(), facts={"given": {"epochs": 3}, "budget_minutes": 60.0})
    assert settings.chosen(asked).facts == {"flags": ["--width=0.25", "--image_size=96"]}
