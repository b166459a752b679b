"""The tables of docs/results/paper.md are those of the runs that are kept beside it."""

import pytest

from flags import definitions
from simsiam_tf.reproduce import page, runs
from simsiam_tf.reproduce.experiments import EXPERIMENTS
from tests.conftest import ROOT

KEPT = ROOT / "docs" / "results" / "paper"
PAGE = (ROOT / "docs" / "results" / "paper.md").read_text()


def planned(name):
    folders = runs.Folders(KEPT)
    return runs.plan(
        EXPERIMENTS[name].rows, lambda _: [0], "cifar10_small", [], folders, definitions.training_config_of
    )


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_the_page_s_table_is_what_its_runs_came_to(name, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    plan = planned(name)
    if not all(run.is_done for of_row in plan.values() for run in of_row):
        pytest.skip(f"not all runs of {name} are kept")
    text = page.write(tmp_path, name, EXPERIMENTS[name], plan, "none", ["--size=cifar10_small"])
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len(rows) == len(EXPERIMENTS[name].rows) + 2
    for row in rows:
        assert row in PAGE


def test_kept_runs_tell_of_no_machine_s_folders():
    files = [path for path in KEPT.rglob("*") if path.suffix in (".json", ".jsonl", ".md")]
    assert files
    for path in files:
        text = path.read_text()
        assert "/home/" not in text
        assert "/tmp/" not in text
        assert "/work/" not in text
