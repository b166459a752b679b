"""Old config.json files: what they do not hold means what the version that wrote them did."""

import dataclasses
import json
import shutil

import pytest

from simsiam_tf.config import run
from simsiam_tf.config.fields import option
from simsiam_tf.config.methods import METHOD_CONFIGS
from simsiam_tf.config.run import CONFIG_GROUPS, FORMAT, Config
from simsiam_tf.errors import UsageError
from simsiam_tf.files import write_json
from simsiam_tf.training.workdir import Workdir
from tests.config.test_run import make_config
from tests.conftest import ROOT

OLD = ROOT / "tests" / "fixtures" / "run_dc5c22e"
FILES = [*OLD.glob("*/config.json"), *(ROOT / "docs" / "results" / "paper" / "runs").glob("*/config.json")]
# The settings that each method had in format 1.
HEADS = {"projector_layers", "projector_dim", "projector_hidden_dim"}
PREDICTOR = {"predictor", "predictor_dim", "bn_placement"}
SWAV = {"num_prototypes", "prototype_norm", "freeze_prototypes_epochs", "queue_size", "queue_from_epoch"}
FORMAT_1 = {
    "simsiam": HEADS | PREDICTOR | {"stop_gradient", "similarity", "symmetry", "alternation_steps", "eta_momentum"},
    "simclr": HEADS | PREDICTOR | {"stop_gradient", "temperature"},
    "mocov2": HEADS | {"bn_placement", "temperature", "ema_momentum", "ema_schedule", "queue_size"},
    "byol": HEADS | PREDICTOR | {"ema_momentum", "ema_schedule"},
    "swav": HEADS | PREDICTOR | SWAV | {"stop_gradient", "temperature", "sinkhorn_epsilon", "sinkhorn_iterations"},
    "barlow_twins": HEADS | {"redundancy_weight"},
}


def content(path):
    return json.loads(path.read_text())["config"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.parent.name)
def test_an_old_file_loads_and_holds_the_same_again(path):
    """The oldest do not hold every setting of format 1 yet. Both are as in a file, which has lists for tuples."""
    old, new = content(path), json.loads(json.dumps(Config.from_dict(content(path)).to_dict()))
    assert {name: new[name] | old[name] for name in CONFIG_GROUPS} == {name: new[name] for name in CONFIG_GROUPS}


@pytest.mark.parametrize("name", ["interrupted", "finished"])
def test_config_json_is_what_it_was(name):
    """But for the settings that are newer."""
    old = content(OLD / name / "config.json")
    new = Config.from_dict(old).to_dict()
    kept = {
        group: {name: value for name, value in new[group].items() if name in values}
        if isinstance(values, dict)
        else new[group]
        for group, values in old.items()
    }
    assert json.dumps(kept) == json.dumps(old)


def test_a_new_setting_says_what_an_old_run_did():
    """If this fails: give the new setting `absent=`, the value that describes runs from before it existed."""
    old = content(OLD / "interrupted" / "config.json")
    of_methods = [(FORMAT_1.get(method, ()), config) for method, config in METHOD_CONFIGS.items() if method in FORMAT_1]
    networks = (old["model"], CONFIG_GROUPS["model"])
    others = [(old[name], group) for name, group in CONFIG_GROUPS.items() if name != "model"]
    for known, group in (networks, *others, *of_methods):
        settings = group.settings() if group is not CONFIG_GROUPS["model"] else group._own_settings()
        silent = [s.name for s in settings if s.name not in known and not s.says_absent]
        assert not silent, f"{group.__name__} has no `absent` for {', '.join(silent)}"


def extended(group):
    """A later version of a group, with a setting whose default is not what older runs did."""
    new = option(0.7, "A new setting.", absent=0.2)
    return dataclasses.make_dataclass(group.__name__, [("new_setting", float, new)], bases=(group,), frozen=True)


@pytest.fixture(params=["optimizer", "simsiam"])
def with_new_setting(request, monkeypatch):
    """Adds a setting to a group, or to a method; returns a function that reads it and one that replaces it."""
    if request.param == "optimizer":
        monkeypatch.setitem(run.CONFIG_GROUPS, "optimizer", extended(CONFIG_GROUPS["optimizer"]))
        return lambda config: config.optimizer
    monkeypatch.setitem(METHOD_CONFIGS, "simsiam", extended(METHOD_CONFIGS["simsiam"]))
    return lambda config: config.model.of_method


def test_an_old_run_gets_what_absence_meant_and_goes_on_with_it_alone(with_new_setting, tmp_path):
    shutil.copytree(OLD / "interrupted", tmp_path / "run")
    workdir = Workdir(tmp_path / "run")
    old = workdir.config()
    assert with_new_setting(old).new_setting == 0.2
    assert old.identity()["new_setting"] == 0.2
    workdir._check_same_run(old)
    values = old.to_dict()
    group = "optimizer" if with_new_setting(old) is old.optimizer else "model"
    values[group]["new_setting"] = 0.7
    with pytest.raises(UsageError, match=r"other settings \(new_setting: 0\.2 in the folder, 0\.7 now\)"):
        workdir._check_same_run(Config.from_dict(values))


def test_a_method_that_gains_a_setting_of_another_gets_what_absence_meant(monkeypatch):
    """The file holds null for it, since the method did not have it."""
    field = [("temperature", float, option(0.7, "A setting.", absent=1.0))]
    base = METHOD_CONFIGS["simsiam"]
    later = dataclasses.make_dataclass("SimSiamConfig", field, bases=(base,), frozen=True)
    monkeypatch.setitem(METHOD_CONFIGS, "simsiam", later)
    assert Config.from_dict(content(OLD / "interrupted" / "config.json")).model.of_method.temperature == 1.0


@pytest.fixture
def workdir(tmp_path):
    return Workdir(tmp_path)


def test_a_newer_format_is_refused_in_one_sentence(workdir):
    write_json(workdir.config_path, {"format": FORMAT + 1, "config": {"something": "else"}})
    with pytest.raises(UsageError, match=rf"is of format {FORMAT + 1}, and this version reads up to {FORMAT}"):
        workdir.config()


def test_the_format_is_written(tmp_path):
    config = make_config()
    config = dataclasses.replace(config, run=dataclasses.replace(config.run, workdir=str(tmp_path / "run")))
    workdir = Workdir.open_for_training(config)
    assert json.loads(workdir.config_path.read_text())["format"] == FORMAT
    assert workdir.config() == config


@pytest.mark.parametrize("method", METHOD_CONFIGS)
def test_runs_of_two_methods_are_told_apart_in_a_sentence(method, workdir):
    config = make_config()
    write_json(workdir.config_path, {"format": FORMAT, "config": config.to_dict()})
    (workdir.root / "checkpoints").mkdir()
    model = config.model.from_values({"method": method})
    other = dataclasses.replace(config, model=model)
    if method == "simsiam":
        return workdir._check_same_run(other)
    with pytest.raises(
        UsageError, match=rf"holds a run with other settings \(method: simsiam in the folder, {method} now"
    ):
        workdir._check_same_run(other)
