"""The table of runs."""

import json
import os
import pathlib

import pytest

from simsiam_tf.runs.columns import columns_of
from simsiam_tf.runs.finding import find_runs
from simsiam_tf.runs.table import as_json, remarks, rows_of, sorted_runs
from tests.runs.made import COMMIT, epoch, made_run, made_transfer


@pytest.fixture
def found(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made_run(tmp_path / "a", lines=[epoch(1, knn_top1=20.0, images_per_second=100.4)])
    made_run(tmp_path / "b", lines=[epoch(1, knn_top1=30.126)], loss=-0.9, linear_cached_top1=50.0)
    made_run(tmp_path / "c")
    return find_runs([str(tmp_path)])


def test_a_row_has_what_is_known_and_a_dash_for_what_is_not(found):
    headings, rows = rows_of(found.runs)
    assert headings == ["run", "recipe", "commit", "data set", "state", "best kNN, %", "linear, %", "images/s"]
    assert rows[0] == ["a", "cifar10", COMMIT[:9], "shapes", "epoch 1 of 10", "20.00", "-", "100.4"]
    assert rows[1] == ["b", "cifar10", COMMIT[:9], "shapes", "finished", "30.13", "50.00", "-"]
    assert rows[2] == ["c", "cifar10", COMMIT[:9], "shapes", "epoch 0 of 10", "-", "-", "-"]


def test_an_installed_package_has_its_version_in_place_of_a_commit(found, tmp_path):
    content = json.loads((tmp_path / "a/config.json").read_text())
    for versions, shown in ({"simsiam_tf": "1.0.0"}, "v1.0.0"), ({"simsiam_tf": [1]}, "-"), ("1.0.0", "-"):
        changed = {**content, "git_commit": None, "versions": versions}
        (tmp_path / "a/config.json").write_text(json.dumps(changed))
        assert rows_of(find_runs([str(tmp_path / "a")]).runs)[1][0][2] == shown


@pytest.mark.parametrize(
    ("column", "order"), [("name", "abc"), ("knn", "bac"), ("speed", "abc"), ("linear", "bac"), ("state", "cab")]
)
def test_runs_are_sorted_by_any_column_with_the_best_first_and_the_unknown_last(found, column, order):
    assert "".join(run.root.name for run in sorted_runs(found.runs, column)) == order


def test_a_recipe_that_is_no_text_is_sorted_too(found, tmp_path):
    content = json.loads((tmp_path / "a/config.json").read_text())
    content["config"]["recipe"] = [1]
    (tmp_path / "a/config.json").write_text(json.dumps(content))
    runs = find_runs([str(tmp_path)]).runs
    assert [run.root.name for run in sorted_runs(runs, "recipe")] == ["a", "b", "c"]


def test_runs_of_transfer_have_a_column_of_their_own(found, tmp_path):
    made_transfer(tmp_path / "d", lines=[{"epoch": 1, "step": 1, "loss": 1.0, "box_ap": 12.0}])
    both = find_runs([str(tmp_path)])
    headings, rows = rows_of(both.runs)
    assert headings[5:7] == ["best kNN, %", "best box AP, %"]
    assert [row[6] for row in rows] == ["-", "-", "-", "12.00"]
    headings, rows = rows_of([run for run in both.runs if run.is_transfer])
    assert "best kNN, %" not in headings and "linear, %" not in headings
    assert rows[0][2:6] == ["-", "made", "step 1 of 2", "12.00"]
    assert sorted_runs(both.runs, "ap")[0].root.name == "d"


def test_programs_get_whole_numbers_and_null(found):
    first, _, last = json.loads(json.dumps(as_json(found, found.runs), allow_nan=False))["runs"]
    assert first["commit"] == COMMIT
    assert (first["knn"], first["done"], first["planned"], first["unit"]) == (20.0, 1, 10, "epochs")
    assert last["knn"] is None and last["guard"] is None and last["linear_probe"] is None


def test_odd_names_are_safe_for_a_terminal_and_for_programs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made_run(pathlib.Path(os.fsdecode(bytes(tmp_path) + b"/\xff\x1b[31m[red]\n")))
    made_run(tmp_path / "z\x1b]0;x").joinpath("summary.json").write_text("\x07")
    found = find_runs([str(tmp_path)])
    headings, rows = rows_of(found.runs)
    lines = [*columns_of(rows, headings), *remarks(found)]
    assert all(line.isprintable() for line in lines)
    assert "\\udcff\\x1b[31m[red]\\n" in lines[1]
    assert lines[-1].startswith("Not opened: z\\x1b]0;x: summary.json must be one that train.py wrote")
    text = json.dumps(as_json(found, found.runs))
    assert "\\ud" not in text
    assert json.loads(text)["runs"][0]["name"] == "\\xff\x1b[31m[red]\n"


def test_lines_below_count_folders_and_runs(found):
    assert remarks(found) == ["Looked at 4 folders, at most 4 levels deep, and found 3 runs."]


def test_numbers_stand_at_the_right_and_a_pipe_is_never_folded():
    lines = columns_of([["a" * 300, "1.5", "x"], ["b", "-", "y"]], ["name", "number", "text"])
    assert len(lines) == 3
    assert lines[0].split() == ["name", "number", "text"]
    assert lines[1].index("1.5") + 3 == lines[2].index("-") + 1 == lines[0].index("number") + 6
    assert columns_of([]) == []
