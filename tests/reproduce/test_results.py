"""The tables of docs/results/paper.md are those of the runs that are kept beside it."""

import re
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
    _, experiment, planned, left_out = paper_page.plan(command)
    assert not paper_page.missing(planned)
    rows, _ = paper_page.make(command, tmp_path)
    assert len(rows) == len(experiment.rows) + len(left_out) + 2
    for row in rows:
        assert row in PAGE


def test_the_page_names_the_rows_with_one_seed():
    """They are read off the tables, whose cells say how many seeds there are where there are several."""
    paragraph = PAGE.partition("**One seed.**")[2].partition("\n\n")[0]
    named = dict(part.split(": ", 1) for part in " ".join(paragraph.split()).partition(" run. ")[2][:-1].split("; "))
    for section in PAGE.split("\n## ")[1:]:
        rows = [line.split(" | ")[:3] for line in section.splitlines() if line.startswith("| ")]
        rows = [row for row in rows if not row[2].startswith("not run")]
        labels = {label.removeprefix("| ") for label, *_ in rows if label != "| row"}
        several = {label.removeprefix("| ") for label, _, ours in rows if " seeds)" in ours}
        title = section.splitlines()[0].partition("(")[2].rstrip(")")
        if not labels or labels == several:
            assert title not in named
            continue
        text = named.pop(title)
        assert text == "all rows" if not several else set(re.findall('"(.*?)"', text)) == labels - several
    assert not named


def test_kept_runs_tell_of_no_machine_s_folders():
    files = [path for path in paper_page.KEPT.rglob("*") if path.suffix in (".json", ".jsonl", ".md")]
    assert files
    for path in files:
        text = path.read_text()
        assert "/home/" not in text
        assert "/tmp/" not in text
        assert "/work/" not in text
