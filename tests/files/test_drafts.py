"""What killed processes leave of the files that they were writing."""

import os
import subprocess
import sys

import pytest

from simsiam_tf import files
from simsiam_tf.files import drafts
from tests.conftest import ROOT

# Writes into three places, and dies before one of them is whole.
KILLED = """
import os, pathlib, signal, sys
from simsiam_tf import files
root = pathlib.Path(sys.argv[1])
with files.replacing(root / "a.json") as one, files.replacing_folder(root / "b") as two:
    with files.adding_to_folder(root / "c", last="z") as three:
        one.write_text("half")
        (two / "x").write_text("half")
        (three / "x").write_text("half")
        os.kill(os.getpid(), signal.SIGKILL)
"""
FULL = """
import pathlib, resource, sys
from simsiam_tf import files
path = pathlib.Path(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))
try:
    files.append_text(path, "more than fits\\n")
except OSError as error:
    sys.exit(error.filename != str(path))
sys.exit(3)
"""


def run(script, *arguments):
    return subprocess.run([sys.executable, "-c", script, *map(str, arguments)], cwd=ROOT, check=False).returncode


def write_all(root):
    files.write_text(root / "a.json", "whole")
    with files.replacing_folder(root / "b") as draft:
        (draft / "x").write_text("whole")
    with files.adding_to_folder(root / "c", last="z") as draft:
        (draft / "x").write_text("whole")


def test_who_writes_a_file_again_removes_what_a_kill_left(tmp_path):
    assert run(KILLED, tmp_path) == -9
    left = sorted(path.name.partition(".")[0] for path in tmp_path.iterdir())
    assert left == ["a", "b", "c"]
    write_all(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.json", "b", "c"]
    assert (tmp_path / "b" / "x").read_text() == (tmp_path / "c" / "x").read_text() == "whole"


def test_drafts_of_other_processes_and_machines_stay(tmp_path):
    alive, other = tmp_path / f"a.json.tmp1-{drafts._HOST}", tmp_path / "a.json.tmp4000000-00000000"
    mine = tmp_path / "a.json.tmp4000000"
    for path in (alive, other, mine):
        path.touch()
    files.write_text(tmp_path / "a.json", "whole")
    assert sorted(tmp_path.iterdir()) == sorted([tmp_path / "a.json", alive, other, mine])


def test_a_killed_process_may_have_had_the_number_of_this_one(tmp_path):
    """As in a container, where a command has the same number each time."""
    for name in ("b", "c"):
        (tmp_path / f"{name}.draft{os.getpid()}-{drafts._HOST}" / "below").mkdir(parents=True)
    write_all(tmp_path)
    assert sorted(path.name for path in (tmp_path / "b").iterdir()) == ["x"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.json", "b", "c"]


def test_a_folder_that_is_tried_is_left_as_it_was(tmp_path):
    (tmp_path / f".write_test_4000000-{drafts._HOST}").touch()
    files.check_folder(tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("before", ["", "5 byte"])
def test_a_text_is_added_whole_or_not_at_all(tmp_path, before):
    path = tmp_path / "lines"
    path.write_text(before)
    assert run(FULL, path) == 0
    assert path.read_text() == before
    files.append_text(path, "ä\udcff\n")
    assert path.read_bytes() == before.encode() + b"\xc3\xa4\xff\n"
