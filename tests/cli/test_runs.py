"""The command on several runs, in this process."""

import json
import shutil
import subprocess
import sys

import pytest
from absl import flags

from simsiam_tf.cli import runs
from tests.conftest import ROOT
from tests.runs.made import epoch, made_config, made_run, made_transfer


@pytest.fixture
def run(console, monkeypatch, tmp_path):
    """Runs the command; returns its exit code."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        monkeypatch.setattr(flags, "FLAGS", flags.FlagValues())  # as in a new process
        monkeypatch.setattr(sys, "argv", ["runs", *map(str, arguments)])
        try:
            runs.main()
        except SystemExit as stop:
            return stop.code
        return 0

    return run


@pytest.fixture
def three(tmp_path):
    made_run(tmp_path / "runs/a", lines=[epoch(1, knn_top1=20.0)])
    made_run(tmp_path / "runs/b", made_config(seed=1), lines=[epoch(1, knn_top1=30.0)])
    made_run(tmp_path / "runs/broken").joinpath("config.json").write_text("{}")
    return tmp_path / "runs"


def test_list_prints_a_table_and_what_was_not_opened(run, three, capsys):
    assert run("list", "runs", "--sort=knn") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[:3]] == ["run", "runs/b", "runs/a"]
    assert lines[3] == "Looked at 4 folders, at most 4 levels deep, and found 2 runs."
    assert lines[4].startswith("Not opened: runs/broken: config.json must be one that train.py wrote.")


def test_json_is_all_of_stdout(run, three, capsys):
    assert run("list", "runs", "--json", "--verbosity=debug") == 0
    content = json.loads(capsys.readouterr().out)
    assert [record["name"] for record in content["runs"]] == ["runs/a", "runs/b"]
    assert content["not_opened"][0]["path"].endswith("broken")
    assert run("compare", "runs", "--json") == 0
    assert json.loads(capsys.readouterr().out)["settings"]["differing"] == {"seed": [0, 1]}


def test_a_folder_without_runs_is_said(run, tmp_path, capsys):
    assert run("list", ".") == 0
    assert capsys.readouterr().out == "Looked at 1 folder, at most 4 levels deep, and found 0 runs.\n"


def test_compare_prints_settings_and_results(run, three, capsys):
    assert run("compare", "runs/a", "runs/b") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("Settings: 1 differ, ") and lines[0].endswith(" are equal")
    assert lines[2].split() == ["seed", "0", "1"]
    assert "Results" in lines


def test_what_compare_finds_broken_below_a_folder_is_a_warning(run, three, capsys):
    assert run("compare", "runs") == 0
    assert capsys.readouterr().err.startswith("warning: Not opened: runs/broken: ")


def test_show_of_one_run_is_what_the_command_show_prints(run, three, capsys):
    assert run("show", "runs/a") == 0
    out = capsys.readouterr().out
    assert out.startswith("\nResults\nFiles\n")
    assert f"  {three}/a/metrics.jsonl: one line for each epoch\n" in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "The first word must be one of list, compare, show. Received: none."),
        (["lst", "runs"], "The first word must be one of list, compare, show. Received: lst."),
        (["list"], "list needs the folder of a run, or one that holds runs. Received: none."),
        (["list", "nowhere"], "Each word after the first must be the folder of a run, or one that holds runs."),
        (["compare", "runs/a"], "compare needs two runs or more. Received: 1 in these folders."),
        (["compare", "runs/a", "runs/broken"], "config.json must be one that train.py wrote."),
        (["show", "runs/broken"], "config.json must be one that train.py wrote."),
        (["show", "."], "A report of several runs is of train.py alone; a run of transfer.py has a report of its own."),
        (["list", "runs", "--out=x"], "--out goes with show, which writes a report. Received: list."),
        (["show", "runs", "--json"], "--json goes with list and compare. Received: show."),
        (["list", "runs", "--sort=loss"], "flag --sort=loss: it must be one of name, recipe, commit,"),
    ],
)
def test_a_request_that_cannot_be_met_is_one_sentence(run, three, capsys, arguments, words):
    made_transfer(three.parent / "detector")
    assert run(*arguments) == 2
    printed = capsys.readouterr().err.splitlines()[-1]
    assert printed.startswith(f"error: {words}")


def test_help_shows_the_words_and_a_folder_may_be_named_help(run, tmp_path, capsys):
    assert run("--help") == 0
    assert "simsiam_tf.cli.runs compare runs/a runs/b" in capsys.readouterr().out
    made_run(tmp_path / "help", lines=[epoch(1)])
    assert run("list", "help") == 0
    assert "found 1 run." in capsys.readouterr().out
    assert run("help") == 0
    assert "simsiam_tf.cli.runs compare runs/a runs/b" in capsys.readouterr().out


def test_local_folders_need_no_tensorflow(three):
    code = (
        "import runpy, sys; "
        "runpy.run_module('simsiam_tf.cli.runs', run_name='__main__', alter_sys=True); "
        "sys.exit(bool({'tensorflow', 'keras'} & set(sys.modules)))"
    )
    command = [sys.executable, "-c", code, "compare", str(three)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def reported(monkeypatch):
    """The workdirs and the path of the report that is asked for, in place of the report."""
    from simsiam_tf.evaluation import evaluate

    asked = []
    monkeypatch.setattr(evaluate, "evaluate", lambda paths, options, *rest: asked.append((paths, options.images.out)))
    return asked


def test_the_report_of_several_runs_is_beside_them_or_where_it_is_asked_for(run, three, reported, tmp_path):
    made_run(tmp_path / "other")
    paths = [str(three / "a"), str(three / "b")]
    assert run("show", "runs") == 0
    assert run("show", *paths, "--out=mine.html") == 0
    assert run("show", "runs/a", "--out=mine.html") == 0
    assert run("show", "runs/a", "other") == 0
    assert reported == [
        (paths, str(three / "comparison.html")),
        (paths, "mine.html"),
        (paths[:1], "mine.html"),
        ([paths[0], str(tmp_path / "other")], str(tmp_path / "comparison.html")),
    ]


@pytest.mark.slow
def test_a_report_of_two_runs_replaces_only_a_report(run, tiny_run, tmp_path, capsys):
    shutil.copytree(tiny_run, tmp_path / "second")
    target = tmp_path / "comparison.html"
    target.write_text("mine")
    assert run("show", tiny_run, tmp_path / "second") == 2
    assert "holds a file that is not a report of simsiam_tf" in capsys.readouterr().err
    assert target.read_text() == "mine"
    target.unlink()
    assert run("show", tiny_run, tmp_path / "second") == 0
    assert f"Wrote {target} (" in capsys.readouterr().out
    assert not (tiny_run / "report.html").exists()
    assert "second" in target.read_text()
