"""The command that judges a machine and a run: rows, exit codes and JSON, with real child processes."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from absl import flags
from PIL import Image

from simsiam_tf.cli import doctor
from simsiam_tf.doctor import table
from simsiam_tf.doctor.checks import Check
from tests.conftest import ROOT
from tests.doctor.runs import TINY


def odd(name, process="plain", **options):
    return Check(options.pop("row", name), f"tests.doctor.odd_checks:{name}", process, **options)


def row_of(name):
    """A check of the real table, which has no need of others here."""
    (check,) = (check for check in table.CHECKS if check.name == name)
    return Check(check.name, check.function, check.process, check.of_run)


@pytest.fixture
def run(console, monkeypatch):
    """Runs the command with some checks in place of all; returns its exit code."""

    def run(*arguments, checks):
        monkeypatch.setattr(doctor, "checks_for", lambda config, names: checks)
        monkeypatch.setattr(flags, "FLAGS", flags.FlagValues())  # as in a new process
        monkeypatch.setattr(sys, "argv", ["doctor", *map(str, arguments)])
        try:
            doctor.main()
        except SystemExit as stop:
            return stop.code
        return 0

    return run


def test_a_machine_that_is_all_right(run, capsys):
    assert run(checks=(odd("prints"), odd("fine", of_run=True))) == 0
    printed = capsys.readouterr()
    assert printed.out.splitlines() == [
        "pass       prints  printed",
        "not asked  fine    needs the flags of a run",
        "All right: 1 check passed. 1 more are about a run; for these add its flags, as for train.py.",
    ]
    assert printed.err == ""


def test_checks_that_name_none_are_not_all(run, capsys):
    assert run("--checks=", checks=(odd("fine"),)) == 2
    assert "--checks must name something; leave it out for all. Received: --checks=." in capsys.readouterr().err


def test_a_warning_is_no_failure_and_a_hung_check_is_a_warning(run, capsys):
    assert run("--check_seconds=0.5", checks=(odd("hangs"), odd("warns"))) == 0
    assert capsys.readouterr().out.splitlines() == [
        "warn       hangs  not measured",
        "                  -> it took more than 0.5 s; --check_seconds allows more",
        "warn       warns  something",
        "                  -> look at it",
        "No check failed, but of 2 checks 2 warned (hangs, warns), 1 not measured.",
    ]


def test_json_is_all_of_stdout(run, capsys):
    assert run("--json", checks=(odd("prints"), odd("breaks_a_rule"))) == 1
    printed = capsys.readouterr()
    assert json.loads(printed.out) == {
        "checks": [
            {"name": "prints", "state": "pass", "value": "printed", "advice": ""},
            {
                "name": "breaks_a_rule",
                "state": "fail",
                "value": "received /nowhere",
                "advice": "--data_dir must be an existing folder of images",
            },
        ],
        "state": "fail",
    }
    assert printed.err == ""


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--checks=memory,nothing"], "--checks must be of versions, memory, "),
        (["--check_seconds=0"], "--check_seconds must be positive."),
        (["--epochs=0"], "--epochs must be positive."),
        (["--flagfile=/nowhere.flags"], "--flagfile"),
        (["--no_such_flag"], "Unknown command line flag 'no_such_flag'"),
        (["a_word"], "Arguments must be flags"),
    ],
)
def test_a_request_that_cannot_be_met_is_one_sentence(run, capsys, arguments, words):
    assert run(*arguments, checks=()) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith("error: ")
    assert words in printed.err
    assert (printed.out, printed.err.count("\n")) == ("", 1)


def test_a_run_needs_no_workdir(run, capsys):
    assert run("--epochs=7", checks=(odd("measures"), odd("wants_facts", of_run=True), row_of("workdir"))) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[1] == "pass       wants_facts  a step takes 0.5 s, 7 epochs"
    assert printed[2] == "not asked  workdir      needs --workdir"


def test_chosen_checks_bring_those_that_they_need():
    assert [check.name for check in table.checks_for(None, ["memory"])] == ["memory"]
    needed = ["settings", "data set", "step", "room"]
    assert [check.name for check in table.checks_for(None, ["room"])] == needed
    assert table.checks_for(None) == table.CHECKS


# Machines and runs that are broken on purpose: each leads to its row, and to exit code 1.


def failed(capsys, name):
    """The value and the advice of the one row that is fail."""
    (found,) = [check for check in json.loads(capsys.readouterr().out)["checks"] if check["state"] == "fail"]
    assert found["name"] == name
    return found["value"], found["advice"]


def test_a_workdir_that_cannot_be_written(run, capsys):
    assert run("--json", *TINY, "--workdir=/proc/run", checks=(odd("fine"), row_of("workdir"))) == 1
    value, advice = failed(capsys, "workdir")
    assert value.endswith(": /proc/run")
    assert advice == "give a folder that can be written by --workdir"


def test_a_folder_of_constant_images(run, capsys, tmp_path):
    for i in range(20):
        Image.fromarray(np.full((40, 50, 3), i, np.uint8)).save(tmp_path / f"{i}.png")
    data = ("--dataset=folder", f"--data_dir={tmp_path}")
    assert run("--json", *TINY, *data, checks=(row_of("images"), odd("fine"))) == 1
    assert failed(capsys, "images")[0] == "20 headers and 20 pictures looked at; 20 of a single colour"


def test_a_disk_with_too_little_room(run, capsys, tmp_path):
    assert run("--json", *TINY, f"--workdir={tmp_path / 'run'}", checks=(odd("measures"), row_of("room"))) == 1
    value, advice = failed(capsys, "room")
    assert "3 checkpoints of 953,674,316,406.2 MiB" in value
    assert advice == "make room, or lower --keep_checkpoints"
    assert os.listdir(tmp_path) == []


def test_versions_that_are_known_not_to_work(run, capsys, tmp_path, monkeypatch):
    (tmp_path / "keras-2.15.0.dist-info").mkdir()
    (tmp_path / "keras-2.15.0.dist-info/METADATA").write_text("Metadata-Version: 2.1\nName: keras\nVersion: 2.15.0\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert run("--json", checks=(row_of("versions"),)) == 1
    value, advice = failed(capsys, "versions")
    assert "keras 2.15.0 beside tensorflow" in value
    assert "depend on Keras 3.15" in advice


def test_a_check_that_dies(run, capsys):
    assert run("--json", checks=(odd("dies"), odd("fine"))) == 1
    assert failed(capsys, "dies")[0] == "the process died of SIGSEGV: free(): invalid size"


def test_settings_that_cannot_be_chosen(run, capsys, monkeypatch, tmp_path):
    """A command without a recipe: the settings come from the images, which are not there."""
    monkeypatch.setattr(doctor, "CHOICE", odd("breaks_a_rule", row="settings"))
    checks = (odd("fine", row="settings"), odd("prints", needs=("settings",)), row_of("workdir"))
    data = ("--dataset=folder", f"--data_dir={tmp_path}", f"--workdir={tmp_path / 'run'}")
    assert run("--json", *data, checks=checks) == 1
    assert failed(capsys, "settings") == ("received /nowhere", "--data_dir must be an existing folder of images")


def of_command(*arguments):
    command = [sys.executable, "-m", "simsiam_tf.cli.doctor", "--json", *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.returncode, {check["name"]: check for check in json.loads(done.stdout)["checks"]}, done.stderr


@pytest.mark.slow
def test_the_command_judges_the_place_of_a_tiny_run(tmp_path):
    code, rows, errors = of_command("--checks=versions,memory,room,workdir", *TINY, f"--workdir={tmp_path / 'run'}")
    assert (code, errors) == (0, "")
    assert {"versions", "memory", "room", "workdir"} <= set(rows) <= {check.name for check in table.CHECKS}
    assert {check["state"] for check in rows.values()} <= {"pass", "warn"}, rows
    assert rows["workdir"]["state"] == "pass"
    assert os.listdir(tmp_path) == []


@pytest.mark.long
def test_the_command_judges_this_machine_and_a_tiny_run(tmp_path):
    code, rows, errors = of_command(*TINY, f"--workdir={tmp_path / 'run'}")
    assert (code, errors) == (0, "")
    assert list(rows) == [check.name for check in table.CHECKS]
    assert {check["state"] for check in rows.values()} <= {"pass", "warn"}, rows
    assert rows["workdir"]["state"] == "pass"
    assert os.listdir(tmp_path) == []


@pytest.mark.slow
def test_a_batch_that_cannot_fit(run, capsys):
    checks = [check for check in table.CHECKS if check.name in ("settings", "data set")]
    assert run("--json", *TINY, "--global_batch_size=100000000", checks=checks) == 1
    value, _ = failed(capsys, "settings")
    assert "most of it for the activations" in value
