"""The tables of docs/results/paper.md are those of the runs that are kept beside it."""

import re

import pytest

from flags import definitions
from simsiam_tf.reproduce import page, runs
from simsiam_tf.reproduce.config import ReproduceConfig
from simsiam_tf.reproduce.experiments import EXPERIMENTS
from tests.conftest import ROOT

KEPT = ROOT / "docs" / "results" / "paper"
PAGE = (ROOT / "docs" / "results" / "paper.md").read_text()


def planned(name):
    """The runs of the page's command."""
    given = re.search(rf"--experiment={name} --size=cifar10_small(?: --reference_seeds=(\d+))?`", PAGE)
    config = ReproduceConfig(name, reference_seeds=int(given[1] or 1)) if given else ReproduceConfig(name)
    experiment = EXPERIMENTS[name]
    planner = runs.Planner(config.size, [], runs.Folders(KEPT), definitions.training_config_of)
    return planner.plan(experiment.rows, lambda row: config.seeds_of(experiment, row))


NAMED = [name for name in EXPERIMENTS if f"`python -m simsiam_tf.reproduce --experiment={name} " in PAGE]


def test_the_page_says_of_every_experiment_whether_it_was_run():
    assert NAMED
    not_run = PAGE.partition("Not run")[2]
    for name in EXPERIMENTS:
        assert name in NAMED or name in not_run, name


@pytest.mark.parametrize("name", NAMED)
def test_the_page_s_table_is_what_its_runs_came_to(name, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    plan = planned(name)
    missing = [run.workdir.root.name for of_row in plan.values() for run in of_row if not run.is_done]
    assert not missing, f"The page has a table of {name}, but these runs are not kept: {', '.join(missing)}"
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
