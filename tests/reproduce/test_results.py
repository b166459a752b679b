"""The tables of docs/results/paper.md are those of the runs that are kept beside it."""

import sys

import pytest

from simsiam_tf.reproduce.experiments import EXPERIMENTS
from tests.conftest import ROOT

sys.path.insert(0, str(ROOT / "benchmarks"))

import paper_page

PAGE, COMMANDS = paper_page.PAGE.read_text(), paper_page.commands()


def test_the_page_says_of_every_experiment_whether_it_was_run():
    named = {command[0].removeprefix("--experiment=") for command in COMMANDS}
    assert named
    not_run = PAGE.partition("Not run")[2]
    for name in EXPERIMENTS:
        assert name in named or name in not_run, name


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_the_page_s_table_is_what_its_runs_came_to(command, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    _, experiment, planned = paper_page.plan(command)
    assert not paper_page.missing(planned)
    rows, _ = paper_page.make(command, tmp_path)
    assert len(rows) == len(experiment.rows) + 2
    for row in rows:
        assert row in PAGE


def test_the_page_names_the_rows_with_one_seed():
    assert PAGE.count("**One seed.**") == 1
    assert f"\n\n{paper_page.one_seed()}\n" in PAGE


def test_kept_runs_tell_of_no_machine_s_folders():
    files = [path for path in paper_page.KEPT.rglob("*") if path.suffix in (".json", ".jsonl", ".md")]
    assert files
    for path in files:
        text = path.read_text()
        assert "/home/" not in text
        assert "/tmp/" not in text
        assert "/work/" not in text
