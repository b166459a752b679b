import inspect

import pytest

from simsiam_tf.config.model import DEFAULTS, ModelConfig
from simsiam_tf.errors import UsageError
from simsiam_tf.methods import METHODS


def test_every_method_has_its_settings():
    assert list(METHODS) == list(DEFAULTS)


@pytest.mark.parametrize("method", DEFAULTS)
def test_a_method_s_class_has_the_same_settings_and_defaults(method):
    """Whoever builds it by hand gets what the command line gives."""
    own = inspect.signature(METHODS[method]).parameters
    named = {name: p.default for name, p in own.items() if p.kind is p.POSITIONAL_OR_KEYWORD and name != "backbone"}
    named = {name: str(value) if name == "alternation_steps" else value for name, value in named.items()}
    assert named == DEFAULTS[method]
    assert ModelConfig(method=method).settings() == DEFAULTS[method]


def test_what_is_given_replaces_the_method_s_default():
    config = ModelConfig(method="swav", num_prototypes=10)
    assert config.settings() == {**DEFAULTS["swav"], "num_prototypes": 10}
    assert config.ema_momentum is None


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"method": "mocov2", "stop_gradient": False},
            "--stop_gradient is a setting of simsiam, simclr, swav, not of --method=mocov2. Received: False.",
        ),
        ({"temperature": 0.5}, "--temperature is a setting of simclr, mocov2, swav, not of --method=simsiam."),
        ({"method": "simclr", "temperature": 0.0}, "--temperature must be positive. Received: 0.0."),
        ({"method": "mocov2", "queue_size": 0}, "--queue_size must be positive with mocov2. Received: 0."),
        ({"method": "byol", "ema_momentum": 1.5}, "--ema_momentum must be at most 1. Received: 1.5."),
        ({"method": "byol", "ema_schedule": "linear"}, "--ema_schedule must be one of constant, cosine."),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, message):
    with pytest.raises(UsageError, match=message):
        ModelConfig(**settings)
