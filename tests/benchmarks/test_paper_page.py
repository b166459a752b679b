import json
import sys

import pytest

from tests.conftest import ROOT

sys.path.insert(0, str(ROOT / "benchmarks"))

import paper_page


def config(data_dir, *command):
    return {"config": {"data": {"dataset": "cifar10", "data_dir": data_dir}}, "command": list(command)}


@pytest.fixture
def kept(tmp_path, monkeypatch):
    monkeypatch.setattr(paper_page, "KEPT", tmp_path / "kept")
    return tmp_path / "kept" / "runs"


def write(folder, content, finished=True):
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(content))
    (folder / "metrics.jsonl").write_text('{"epoch": 0}\n')
    if finished:
        (folder / "summary.json").write_text('{"wall_seconds": {"value": 1.0}}')


@pytest.mark.parametrize("data_dir", ["/home/a/data", "data", "d", ""])
def test_the_places_of_a_machine_are_not_kept(tmp_path, kept, data_dir):
    run = tmp_path / "w" / "runs" / "baseline-seed0-1"
    recipe = "--flagfile=/home/a/code/flags/recipes/paper/baseline.flags"
    command = ["/home/a/code/simsiam_tf/cli/train.py", recipe, f"--data_dir={data_dir}", f"--workdir={run}"]
    write(run, config(data_dir, *command))
    paper_page.keep(tmp_path / "w")
    found = json.loads((kept / run.name / "config.json").read_text())
    assert found["config"]["data"] == {"dataset": "cifar10", "data_dir": "DATA_DIR" if data_dir else ""}
    assert found["command"] == [
        "simsiam_tf/cli/train.py",
        "--flagfile=flags/recipes/paper/baseline.flags",
        "--data_dir=DATA_DIR",
        "--workdir=W/runs/baseline-seed0-1",
    ]


def test_runs_that_are_not_finished_and_those_that_are_kept_are_left_alone(tmp_path, kept):
    for name, finished in (("a", False), ("b", True), ("c", False)):
        write(tmp_path / "w" / "runs" / name, config("", "train.py"), finished)
    (tmp_path / "w" / "runs" / "c" / "diverged.json").write_text("{}")
    write(kept / "b", {"kept": "before"})
    paper_page.keep(tmp_path / "w")
    assert sorted(path.name for path in kept.iterdir()) == ["b", "c"]
    assert json.loads((kept / "b" / "config.json").read_text()) == {"kept": "before"}
