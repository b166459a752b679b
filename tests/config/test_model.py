import inspect

import pytest

from simsiam_tf.config.methods import METHOD_CONFIGS, SimSiamConfig, SwAVConfig
from simsiam_tf.config.model import ModelConfig
from simsiam_tf.errors import UsageError
from simsiam_tf.methods import METHODS
from simsiam_tf.methods.simsiam_targets import make_targets


def test_every_method_has_its_settings():
    assert list(METHODS) == list(METHOD_CONFIGS)


@pytest.mark.parametrize("method", METHOD_CONFIGS)
def test_a_method_s_class_has_the_same_settings_and_defaults(method):
    """Whoever builds it by hand gets what the command line gives."""
    own = inspect.signature(METHODS[method]).parameters
    named = {name: p.default for name, p in own.items() if p.kind is p.POSITIONAL_OR_KEYWORD and name != "backbone"}
    named = {name: str(value) if name == "alternation_steps" else value for name, value in named.items()}
    assert METHOD_CONFIGS[method]().values() == named
    assert ModelConfig.from_values({"method": method}).of_method == METHOD_CONFIGS[method]()


def test_what_is_given_replaces_the_method_s_default():
    config = ModelConfig.from_values({"method": "swav", "num_prototypes": 10, "queue_size": None, "width": 0.5})
    assert config == ModelConfig(width=0.5, of_method=SwAVConfig(num_prototypes=10))
    assert config.method == "swav"
    assert config.values()["num_prototypes"] == 10
    assert config.values()["ema_momentum"] is None


def test_a_setting_of_several_methods_is_one_flag():
    """It has one type, one explanation and the same choices in each; only its default differs."""
    kinds = {}
    for config in METHOD_CONFIGS.values():
        for setting in config.settings():
            kind = (setting.type, setting.help, setting.choices, setting.positive, setting.identity)
            assert kinds.setdefault(setting.name, kind) == kind, setting.name


def test_help_has_the_default_of_each_method():
    found = {setting.name: setting for setting in ModelConfig.settings()}
    assert found["temperature"].help.endswith("By default: simclr 0.1, mocov2 0.2, swav 0.1.")
    assert found["temperature"].default is None
    names = list(found)
    assert names[:5] == ["method", "arch", "width", "stem", "projector_layers"]
    assert names[-2:] == ["redundancy_weight", "online_probe"]


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
        ({"method": "supervised"}, "--method must be one of simsiam, .* Received: 'supervised'."),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, message):
    with pytest.raises(UsageError, match=message):
        ModelConfig.from_values(settings)


@pytest.mark.parametrize(("steps", "ahead"), [("1", False), ("01", False), ("2", True), ("10", True), ("epoch", True)])
def test_targets_are_computed_ahead_of_more_than_one_step(steps, ahead):
    settings = SimSiamConfig(alternation_steps=steps)
    assert (settings.looks_ahead, settings.remembers_images) == (ahead, ahead)
    assert bool(make_targets(int(steps) if steps != "epoch" else 9).lookahead_window(0)) == ahead
