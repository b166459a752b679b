"""The harness itself: it notices every fault that it is there for."""

import json
import os
import pathlib
import pickle
import random
import subprocess
import sys
import time

import pytest

from simsiam_tf.errors import UsageError
from tests.fuzz.tally import Tally
from tests.fuzz.target import ROOT, Target, WrongError
from tests.fuzz.worker import Worker

# What a reader may do, and the class of the answer.
DEEDS = {
    "right": (lambda folder: "read", "read"),
    "sentence": (lambda folder: fail(UsageError("A file must be one. Received: x.")), "refused (exit 2)"),
    "no sentence": (lambda folder: fail(UsageError("no")), "no sentence"),
    "disk": (lambda folder: fail(OSError(28, "No space left on device", "x")), "refused by the environment (exit 1)"),
    "traceback": (lambda folder: fail(KeyError("x")), "traceback"),
    "wrong": (lambda folder: fail(WrongError("2 is not 1")), "silent fault"),
    "hang": (lambda folder: time.sleep(60), "hang"),
    "hang that computes": (lambda folder: all(True for _ in iter(int, 1)), "hang"),
    "death": (lambda folder: os.abort(), "died"),
    "memory": (lambda folder: len(bytearray(2 << 30)), "memory"),
    "write": (lambda folder: (folder.parent / "x").write_text("x"), "write outside"),
    "write by a program in C": (lambda folder: os.mkfifo(folder.parent.parent / "x"), "write outside"),
    "delete": (lambda folder: (folder.parents[1] / "a" / "outside.txt").unlink(missing_ok=True), "write outside"),
    "a file of its own": (lambda folder: (folder / "x").write_text("x") and "read", "read"),
    "pickle": (lambda folder: pickle.loads(b"cos\ngetpid\n."), "code was run"),
    "program": (lambda folder: subprocess.run(["true"], check=False), "code was run"),
    "eval": (lambda folder: eval("1"), "code was run"),
    "terminal": (lambda folder: print("\x1b[31m") or "read", "raw output"),
}


def fail(error):
    raise error


class Doing(Target):
    """Does one deed after another."""

    name = "doing"
    seconds = 3.0

    def write(self, folder: pathlib.Path, chance: random.Random) -> str:
        self.deed = list(DEEDS)[self.next]
        return self.deed

    def read(self, folder: pathlib.Path):
        return DEEDS[self.deed][0](folder)


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    """The answers to all deeds, from a process without TensorFlow's threads, from which others can be forked."""
    code = "import sys; from tests.fuzz.test_harness import answer_all; answer_all(sys.argv[1])"
    command = [sys.executable, "-c", code, str(tmp_path_factory.mktemp("deeds"))]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def answer_all(folder):
    target = Doing()
    worker, found = Worker(target, 0, pathlib.Path(folder)), {}
    for target.next, deed in enumerate(DEEDS):
        worker.end()  # a process knows the deeds of its start
        found[deed] = [worker.run(number)["class"] for number in (1, 2)]
    worker.end()
    print(json.dumps(found))


@pytest.mark.slow
@pytest.mark.parametrize("deed", DEEDS)
def test_each_fault_is_noticed_and_the_next_case_runs(answers, deed):
    expected = DEEDS[deed][1]
    # What was made or deleted outside stays so, and the second time nothing changes.
    assert answers[deed][0] == expected
    assert len(answers[deed]) == 2


def test_a_tally_goes_on_and_replaces_a_fault_that_was_mended(tmp_path):
    tally = Tally(tmp_path / "counts.json")
    for number, kind in enumerate(["read", "hang", "read"]):
        tally.add(number, {"class": kind, "said": "", "what": "x"})
    tally.save()
    again = Tally(tmp_path / "counts.json")
    assert (again.next, again.num_faults, list(again.faults)) == (3, 1, ["1"])
    again.add(1, {"class": "read", "said": "", "what": "x"})
    assert (again.num_faults, again.counts["read"], again.next) == (0, 3, 3)
    assert "3 cases, 0 faults" in again.lines()[-1]
