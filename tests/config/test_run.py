import dataclasses
import json

import pytest

from flags import definitions
from simsiam_tf.augment.policies import POLICIES
from simsiam_tf.config.augment import AugmentConfig
from simsiam_tf.config.data import DataConfig
from simsiam_tf.config.devices import DeviceConfig
from simsiam_tf.config.evaluation import EVALUATION_GROUPS
from simsiam_tf.config.methods import METHOD_CONFIGS, BYOLConfig, SimSiamConfig, SwAVConfig
from simsiam_tf.config.model import ModelConfig
from simsiam_tf.config.optimizer import OptimizerConfig
from simsiam_tf.config.run import CONFIG_GROUPS, Config, RunConfig
from simsiam_tf.config.scale import SizeConfig
from simsiam_tf.config.start import StartConfig
from simsiam_tf.config.transfer import TRANSFER_GROUPS
from simsiam_tf.errors import UsageError


def make_config(**run):
    groups = ModelConfig(), OptimizerConfig(), DataConfig(), AugmentConfig(), DeviceConfig()
    return Config(*groups, RunConfig(workdir="w", **run))


def test_a_queue_that_would_never_be_used_is_refused():
    groups = OptimizerConfig(), DataConfig(), AugmentConfig(), DeviceConfig()
    Config(ModelConfig(of_method=SwAVConfig(queue_size=64)), *groups, RunConfig(workdir="w", epochs=16))
    Config(ModelConfig(of_method=SwAVConfig()), *groups, RunConfig(workdir="w", epochs=15))
    with pytest.raises(UsageError, match=r"--queue_from_epoch must be below --epochs \(15\).* Received: 15"):
        Config(ModelConfig(of_method=SwAVConfig(queue_size=64)), *groups, RunConfig(workdir="w", epochs=15))


def test_small_views_are_swav_s():
    groups = OptimizerConfig(), DataConfig(), AugmentConfig(small_views=6), DeviceConfig(), RunConfig(workdir="w")
    assert Config(ModelConfig(of_method=SwAVConfig()), *groups).augment.small_views == 6
    with pytest.raises(UsageError, match=r"--small_views go with --method=swav, not with byol\. Received: 6"):
        Config(ModelConfig(of_method=BYOLConfig()), *groups)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SimSiamConfig(bn_placement="some"), r"--bn_placement must be one of none, .* Received: 'some'\."),
        (lambda: ModelConfig(width=0.0), r"--width must be positive. Received: 0.0\."),
        (lambda: SimSiamConfig(projector_layers=1), "--projector_layers must be 2 to 100"),
        (lambda: OptimizerConfig(weight_decay=-1.0), "--weight_decay must not be negative. Received: -1.0"),
        (lambda: OptimizerConfig(base_learning_rate=0.0), "--base_learning_rate must be positive"),
        (lambda: OptimizerConfig(sgd_momentum=1.0), "--sgd_momentum must be below 1"),
        (lambda: DataConfig(dataset="folder"), "--dataset=folder needs --data_dir"),
        (lambda: DataConfig(image_size=4), "--image_size must be at least 8. Received: 4"),
        (lambda: DataConfig(max_bad_fraction=1.0), "--max_bad_fraction must be below 1"),
        (lambda: AugmentConfig(flip_p=(0.5, -1.0)), "--flip_p must not be negative. Received: -1.0"),
        (lambda: RunConfig(), "--workdir must name a folder"),
        (lambda: RunConfig(workdir="w", epochs=0), "--epochs must be positive. Received: 0"),
    ],
)
def test_an_impossible_value_is_refused_with_the_rule_and_what_was_received(make, message):
    with pytest.raises(UsageError, match=message):
        make()


def test_goes_through_json_and_back():
    config = dataclasses.replace(make_config(seed=3), augment=AugmentConfig(blur_p=(1.0, 0.1), gray_p=0.3))
    assert Config.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_settings_of_another_version_are_refused():
    values = make_config().to_dict()
    values["model"]["magic"] = 1
    with pytest.raises(UsageError, match=r"does not know. Received: magic"):
        Config.from_dict(values)


def test_identity_is_what_changes_the_weights():
    config = make_config()
    same = dataclasses.replace(config, run=dataclasses.replace(config.run, workdir="v", knn_every_epochs=7))
    other = dataclasses.replace(config, run=dataclasses.replace(config.run, seed=1))
    assert same.identity() == config.identity()
    assert other.identity() != config.identity()


def test_the_paper_s_augmentation():
    """Sec. 3 of the paper in PyTorch's notation, and App. D for CIFAR."""
    policy, _ = POLICIES["simsiam"]
    assert (policy.crop_min_scale, policy.flip_p, policy.jitter_p, policy.gray_p) == (0.2, 0.5, 0.8, 0.2)
    assert (policy.brightness, policy.contrast, policy.saturation, policy.hue) == (0.4, 0.4, 0.4, 0.1)
    assert policy.blur_p == 0.5
    assert set(POLICIES["simsiam_cifar"]) == {dataclasses.replace(policy, blur_p=0.0)}


def test_the_other_methods_augmentation():
    """SimCLR, App. A; SwAV, Sec. 4 and App. A; BYOL, Table 6."""

    def figures(policy):
        jitter = (policy.jitter_p, policy.brightness, policy.contrast, policy.saturation, policy.hue)
        return (policy.crop_min_scale, jitter, policy.flip_p, policy.gray_p, policy.blur_p, policy.solarize_p)

    strong = (0.8, 0.8, 0.8, 0.8, 0.2)
    assert [figures(p) for p in POLICIES["simclr"]] == [(0.08, strong, 0.5, 0.2, 0.5, 0.0)] * 2
    assert [figures(p) for p in POLICIES["swav"]] == [(0.14, strong, 0.5, 0.2, 0.5, 0.0)] * 2
    weak = (0.8, 0.4, 0.4, 0.2, 0.1)
    first, second = (figures(p) for p in POLICIES["byol"])
    assert first == (0.08, weak, 0.5, 0.2, 1.0, 0.0)
    assert second == (0.08, weak, 0.5, 0.2, 0.1, 0.2)


GROUPS = (*CONFIG_GROUPS.values(), *EVALUATION_GROUPS.values(), SizeConfig)
METHODS_OF = {s.name: method for method, config in METHOD_CONFIGS.items() for s in config.settings()}


def test_the_table_of_flags_has_every_group():
    assert {**CONFIG_GROUPS, "size": SizeConfig, "start": StartConfig} == definitions.TRAINING
    assert EVALUATION_GROUPS == definitions.EVALUATION
    assert TRANSFER_GROUPS == definitions.TRANSFER


def finite_fields():
    for group in GROUPS:
        for setting in group.settings():
            kind = str(setting.type)
            if "float" in kind:
                yield pytest.param(group, setting.name, "tuple" in kind and "|" not in kind, id=setting.name)


@pytest.mark.parametrize(("group", "name", "several"), finite_fields())
@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_a_number_must_be_finite(group, name, several, value):
    needed = {"workdir": "w"} if group is RunConfig else {}
    needed |= {"method": METHODS_OF[name]} if name in METHODS_OF else {}
    with pytest.raises(UsageError, match=rf"--{name} must be a finite number. Received: {value}"):
        group.from_values({**needed, name: (0.5, value) if several else value})
