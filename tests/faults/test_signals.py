"""SIGTERM and Ctrl-C at any moment: 128 plus the number of the signal or an ordinary end, one sentence, no hang."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

from tests.conftest import ROOT
from tests.faults.commands import values
from tests.faults.test_kills import train_flags, whole  # noqa: F401 - a fixture

INTERRUPTED = "error: Interrupted; the same command goes on from what was saved, if anything was.\n"
TERMINATED = "error: Stopped by SIGTERM; the same command goes on from what was saved, if anything was.\n"
# The main thread waits for a lock that is never opened, in C: no handler of Python is called.
HANGS = """
import ctypes, sys
from simsiam_tf.cli import entry_point

def work():
    print("working", flush=True)
    lock, c = ctypes.create_string_buffer(64), ctypes.CDLL(None)
    c.pthread_mutex_lock(lock)
    c.pthread_mutex_lock(lock)

sys.argv = ["command"]
entry_point.run(lambda: None, work, "Hangs.")
"""
WAITS = HANGS.replace("    lock, c", "    import time; time.sleep(60)\n    lock, c")
# A command that was started by another, which is killed.
STARTS = """
import sys
from simsiam_tf.training.stop_signals import call
code = "import os, sys, time; print(os.getpid(), flush=True)\\n" + sys.argv[1]
print(call([sys.executable, "-c", code]))
"""


def start(script, *arguments):
    return subprocess.Popen(
        [sys.executable, "-c", script, *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def end(process, seconds=60):
    out, err = process.communicate(timeout=seconds)
    return process.returncode, out, err


@pytest.mark.parametrize(
    ("number", "code", "words"), [(signal.SIGTERM, 143, TERMINATED), (signal.SIGINT, 130, INTERRUPTED)]
)
def test_a_command_that_works_ends_at_once_with_a_sentence(number, code, words):
    process = start(WAITS)
    assert process.stdout.readline() == "working\n"
    process.send_signal(number)
    assert end(process) == (code, "", words)


def test_sigterm_ends_a_command_that_hangs():
    process = start(HANGS)
    assert process.stdout.readline() == "working\n"
    time.sleep(0.5)
    process.send_signal(signal.SIGTERM)
    assert end(process) == (143, "", TERMINATED)


def test_a_second_ctrl_c_ends_a_command_that_hangs():
    process = start(HANGS)
    assert process.stdout.readline() == "working\n"
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    time.sleep(1)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    assert end(process) == (130, "", INTERRUPTED)


def is_there(pid):
    """Whether a process runs; one that has ended and was not waited for does not."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_command_ends_with_the_command_that_started_it():
    process = start(STARTS, HANGS)
    pid = int(process.stdout.readline())
    assert process.stdout.readline() == "working\n"
    process.kill()
    process.wait()
    limit = time.monotonic() + 30
    while is_there(pid):
        assert time.monotonic() < limit
        time.sleep(0.05)
    assert "The command that started this one has gone" in process.communicate()[1]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_is_passed_on_to_a_command_that_saves(number, code):
    saves = "import signal; signal.signal(15, lambda *_: (print('saved', flush=True), sys.exit(0))); time.sleep(60)"
    process = start(STARTS, saves)
    process.stdout.readline()
    time.sleep(0.5)
    process.send_signal(number)
    assert end(process)[:2] == (0, f"saved\n({code}, True)\n")


def loads_tensorflow(process):
    return "libtensorflow" in pathlib.Path(f"/proc/{process.pid}/maps").read_text()


@pytest.mark.faults
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("moment", ["before", "while", "after"])
def test_a_start_that_gets_a_signal(photos, tmp_path, number, moment):
    """Before TensorFlow is loaded, while it is, and while the model is made."""
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "train.py"), *train_flags(photos, tmp_path / "run")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": "-1"},
    )
    config = tmp_path / "run" / "config.json"
    ready = {
        "before": lambda: signal_is_caught(process.pid, signal.SIGTERM),
        "while": lambda: loads_tensorflow(process),
        "after": config.exists,
    }[moment]
    while not ready():
        assert process.poll() is None
        time.sleep(0.005)
    process.send_signal(number)
    code, out, err = end(process, 300)
    assert code == 128 + number, (out, err)
    said = [line for line in err.splitlines() if not line.startswith(("WARNING: All log", "I0000", "E0000"))]
    ends = {TERMINATED.strip(), INTERRUPTED.strip()}
    assert (len(said) == 1 and said[0] in ends) or (not said and "Stopped by" in out), (out, err)


def signal_is_caught(pid, number):
    lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    caught = next(line for line in lines if line.startswith("SigCgt:")).split()[1]
    return bool(int(caught, 16) >> (number - 1) & 1)


@pytest.mark.faults
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("at", ["measure", "save"])
def test_a_signal_during_the_monitor_and_during_a_save(server, photos, whole, tmp_path, number, at):  # noqa: F811
    flags = [*train_flags(photos, tmp_path / "run"), "--knn_every_epochs=1"]
    stopped = server.run("train", flags, faults={"send_signal_in": [at, int(number)]})
    assert stopped.code in (0, 128 + number), stopped.said
    assert "Traceback" not in stopped.err
    server.run("train", flags).finish()
    assert values(tmp_path / "run", "weights_sha256") == values(whole[0], "weights_sha256")


@pytest.mark.faults
def test_a_second_ctrl_c_ends_a_run_whose_data_hang(server, photos, tmp_path):
    flags, mark = train_flags(photos, tmp_path / "run"), tmp_path / "hangs"
    process = server.start("train", flags, faults={"hang_reading": [40, str(mark)]})
    process.wait_for(mark.exists)
    time.sleep(1)
    process.send(signal.SIGINT)
    assert process.wait(5) is None
    process.send(signal.SIGINT)
    assert process.wait(60) == 130, process.said
    assert json.loads((tmp_path / "run" / "config.json").read_text())
    server.run("train", flags).finish()
