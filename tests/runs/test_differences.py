"""What differs between runs."""

import json
import shutil

import pytest

from simsiam_tf.config.data import DataConfig
from simsiam_tf.runs.differences import as_json, in_words, results_of, settings_that_differ, surroundings_that_differ
from simsiam_tf.runs.finding import find_runs
from simsiam_tf.runs.text import compared
from tests.conftest import ROOT
from tests.runs.made import epoch, made_config, made_run, made_transfer


def runs_in(*folders):
    return find_runs([str(folder) for folder in folders]).runs


def test_only_settings_that_differ_are_named_and_the_others_counted(tmp_path):
    runs = runs_in(made_run(tmp_path / "a"), made_run(tmp_path / "b", made_config(seed=3, epochs=20)))
    found = settings_that_differ(runs)
    assert found.values == {"seed": [0, 3], "epochs": [10, 20]}
    assert found.equal > 80
    assert settings_that_differ([runs[0], runs[0]]).values == {}


def test_a_setting_that_an_old_run_lacks_has_the_value_that_it_behaved_by(tmp_path):
    old, new = made_run(tmp_path / "old"), made_run(tmp_path / "new")
    content = json.loads((old / "config.json").read_text())
    del content["config"]["data"]["exif"]
    (old / "config.json").write_text(json.dumps(content))
    content["config"]["data"]["exif"] = "upright"
    (new / "config.json").write_text(json.dumps(content))
    (absent,) = [setting.absent for setting in DataConfig.settings() if setting.name == "exif"]
    assert absent != "upright"
    assert settings_that_differ(runs_in(old, new)).values == {"exif": [absent, "upright"]}


def test_a_kept_run_of_an_old_version_differs_in_what_it_was_given(tmp_path):
    shutil.copytree(ROOT / "tests/fixtures/run_dc5c22e", tmp_path / "old")
    runs = runs_in(tmp_path / "old/interrupted", tmp_path / "old/alternation")
    assert settings_that_differ(runs).values == {"alternation_steps": ["1", "2"], "save_every_steps": [0, 5]}


def test_settings_of_another_method_are_dashes(tmp_path):
    runs = runs_in(made_run(tmp_path / "a"), made_run(tmp_path / "b", made_config("mocov2")))
    values = settings_that_differ(runs).values
    assert values["stop_gradient"] == [True, None]
    assert ["stop_gradient", "true", "-"] in [line.split() for line in compared(runs)]


def test_versions_commit_and_data_are_compared_too(tmp_path):
    runs = runs_in(made_run(tmp_path / "a"), made_run(tmp_path / "b"))
    content = json.loads((tmp_path / "b/config.json").read_text())
    content |= {"git_commit": "f" * 40, "versions": {"keras": "4.0"}, "resolved": {"replicas": 2}}
    (tmp_path / "b/config.json").write_text(json.dumps(content))
    found = surroundings_that_differ(runs_in(tmp_path / "a", tmp_path / "b"))
    assert found.values["commit"] == [runs[0].commit, "f" * 40]
    assert found.values["version of keras"] == ["3.15.1", "4.0"]
    assert found.values["resolved replicas"] == [None, 2]
    content["versions"] = "none"  # of another program
    (tmp_path / "b/config.json").write_text(json.dumps(content))
    assert surroundings_that_differ(runs_in(tmp_path / "a", tmp_path / "b")).values["version of keras"][1] is None


def test_results_stand_side_by_side(tmp_path):
    runs = runs_in(
        made_run(tmp_path / "a", lines=[epoch(1, knn_top1=20.0)]),
        made_run(tmp_path / "b", lines=[epoch(10, knn_top1=30.0)], loss=-0.5),
    )
    rows = {name: values for name, values, _ in results_of(runs)}
    assert rows["state"] == ["epoch 1 of 10", "finished"]
    assert rows["best kNN, %"] == ["20.00", "30.00"]
    assert rows["loss"] == ["-", "-0.5"]
    assert "measured as" not in "\n".join(compared(runs))


def test_numbers_that_were_measured_in_different_ways_have_rows_of_their_own(tmp_path):
    for name, protocol in (("a", "one way"), ("b", "another way")):
        run = made_run(tmp_path / name)
        (run / "summary.json").write_text(json.dumps({"x": {"value": 1.0, "protocol": protocol}}))
    text = list(compared(runs_in(tmp_path)))
    assert next(line for line in text if line.startswith("  x ")).endswith("one way")
    assert any(line.endswith("measured as") for line in text)


def test_probes_that_chose_another_learning_rate_stand_in_one_row(tmp_path):
    for name, rate, epochs in (("a", 0.1, 5), ("b", 0.2, 5), ("c", 0.2, 90)):
        run = made_run(tmp_path / name)
        probe = {"value": 50.0 + rate, "unit": "percent", "protocol": "probe", "base_learning_rate": rate}
        records = {"linear_sgd_top1": {**probe, "epochs": epochs}, "online_probe_top1": {**probe, "epochs": epochs}}
        (run / "summary.json").write_text(json.dumps(records))
    rows = [(name, values) for name, values, _ in results_of(runs_in(tmp_path)) if name.endswith("top1")]
    assert rows == [
        ("linear_sgd_top1", ["50.10 %", "50.20 %", "-"]),
        ("linear_sgd_top1", ["-", "-", "50.20 %"]),
        ("online_probe_top1", ["50.10 %", "50.20 %", "50.20 %"]),
    ]


@pytest.mark.parametrize("ended", [True, False])
def test_a_probe_of_an_earlier_checkpoint_is_not_the_run_s(ended, tmp_path):
    """It was trained before the run went on to its end."""
    for name, checkpoint in (("a", "step-390"), ("b", "step-1950")):
        run = made_run(tmp_path / name)
        records = {"linear_sgd_top1": {"value": 50.0, "unit": "percent", "protocol": "p", "checkpoint": checkpoint}}
        records |= {"loss": {"value": -0.5, "checkpoint": "step-1950"}} if ended else {}
        (run / "summary.json").write_text(json.dumps(records))
    runs = runs_in(tmp_path)
    rows = [(values, way) for name, values, way in results_of(runs) if name == "linear_sgd_top1"]
    assert rows == (
        [(["50.00 %", "-"], "p, of step-390"), (["-", "50.00 %"], "p")] if ended else [(["50.00 %"] * 2, "p")]
    )
    assert [run.linear for run in runs] == [None if ended else ("linear_sgd_top1", 50.0), ("linear_sgd_top1", 50.0)]


def test_runs_of_both_commands_can_be_compared(tmp_path):
    runs = runs_in(made_run(tmp_path / "a"), made_transfer(tmp_path / "b"))
    values = settings_that_differ(runs).values
    assert values["base_learning_rate"][1] is None and values["milestones"][0] is None
    json.dumps(as_json(runs), allow_nan=False)


def test_values_are_as_one_would_type_them():
    assert [in_words(v) for v in (None, True, "", 0.03, 1e-05, [0.2, 1.0], [], 1 / 3)] == [
        *("-", "true", "none", "0.03", "1e-05", "0.2,1", "none", "0.3333333333333333")
    ]
