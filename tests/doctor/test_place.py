import fcntl
import os
import subprocess
import sys

import pytest

from simsiam_tf.config.run import FORMAT
from simsiam_tf.doctor import place
from simsiam_tf.doctor.checks import Asked
from simsiam_tf.files import Tried, write_json
from tests.conftest import ROOT
from tests.doctor.runs import config_of

MIB = 2**20


def folder(path, *flags):
    return place.folder(Asked(config_of(f"--workdir={path}", *flags), has_workdir=True))


@pytest.fixture
def trained(tmp_path):
    """The folder of a run that was stopped after a checkpoint."""
    root = tmp_path / "run"
    (root / "checkpoints").mkdir(parents=True)
    (root / "checkpoints/step-4.index").write_bytes(b"")
    write_json(root / "config.json", {"format": FORMAT, "config": config_of(f"--workdir={root}").to_dict()})
    return root


def test_a_folder_to_be_made_passes_and_is_not_made(tmp_path):
    assert folder(tmp_path / "a/b").value == "files can be written, renamed and locked"
    assert os.listdir(tmp_path) == []


def test_a_folder_that_cannot_be_written_fails():
    outcome = folder("/proc/run")
    assert (outcome.state, outcome.advice) == ("fail", "give a folder that can be written by --workdir")


def test_without_a_workdir_nothing_is_asked(tmp_path):
    asked = Asked(config_of(f"--workdir={tmp_path}"))
    assert place.folder(asked).state == place.room(asked).state == "not asked"


@pytest.mark.parametrize(
    ("tried", "state", "words"), [((False, True), "fail", "renamed"), ((True, False), "warn", "no locks")]
)
def test_what_the_file_system_cannot_do_is_told(monkeypatch, tmp_path, tried, state, words):
    monkeypatch.setattr(place, "try_folder", lambda path: Tried(*tried, tmp_path))
    outcome = folder(tmp_path / "run")
    assert outcome.state == state
    assert words in outcome.value


def test_a_run_that_goes_on_passes_and_one_of_other_settings_fails(trained):
    assert folder(trained).state == "pass"
    outcome = folder(trained, "--epochs=3")
    assert (outcome.state, outcome.advice) == ("fail", "give another --workdir")
    assert outcome.value == "the folder holds a run with other settings (epochs: 2, now 3)"


def test_a_finished_run_is_told(trained):
    write_json(trained / "summary.json", {"loss": {"value": -0.9}})
    assert folder(trained).value == "the run in the folder is finished"


def test_a_folder_in_which_another_process_trains_fails(trained):
    # Without flush the line stays in the process unless PYTHONUNBUFFERED is set, and the test waits for ever.
    holds = "f = open(sys.argv[1], 'ab'); fcntl.flock(f, fcntl.LOCK_EX); print(flush=True); sys.stdin.read()"
    code = f"import fcntl, sys; {holds}"
    command = [sys.executable, "-c", code, str(trained / ".lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT) as other:
        other.stdout.readline()
        assert folder(trained).value == "another process trains in the folder"
        other.stdin.close()
    assert folder(trained).state == "pass"
    with (trained / ".lock").open("ab") as file:  # the doctor has not kept it
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


@pytest.mark.parametrize(
    ("kept", "free", "state"),
    [(0, 407, "fail"), (0, 409, "warn"), (0, 817, "pass"), (3, 107, "fail"), (3, 217, "pass"), (9, 217, "pass")],
)
def test_a_disk_must_have_room_for_the_checkpoints(kept, free, state):
    outcome = place.judge(100 * MIB, keep=3, kept=kept, free=free * MIB)
    assert outcome.state == state
    assert f"{free} MiB free" in outcome.value
    assert "3 checkpoints of 100.0 MiB" in outcome.value


def test_the_room_of_a_folder_to_be_made_is_that_of_its_disk(tmp_path):
    asked = Asked(config_of(f"--workdir={tmp_path / 'new'}"), True, {"checkpoint": 10**15})
    assert place.room(asked).state == "fail"
    assert not (tmp_path / "new").exists()
