import logging
import os
import pathlib
import subprocess
import sys

import pytest

from simsiam_tf.cli import quiet
from tests.conftest import ROOT

INITIALIZE = "WARNING: All log messages before absl::InitializeLog() is called are written to STDERR\n"
STUB = (
    "I0000 00:00:1795707856.231715   14922 cudart_stub.cc:31] Could not find cuda drivers on your machine, GPU will\n"
)
CUINIT = (
    "E0000 00:00:1795.707   14922 cuda_platform.cc:52] failed call to cuInit: INTERNAL: CUDA error: UNKNOWN (303)\n"
)
ONEDNN = "I0000 00:00:1795.707   14922 port.cc:153] oneDNN custom operations are on. You may see slightly different\n"
OTHERS = "E0000 00:00:1795.707   14922 gpu_device.cc:9] out of memory\nModuleNotFoundError: No module named 'x'\n"


def write(text):
    os.write(2, text.encode())


def test_known_lines_are_dropped_and_all_others_kept_in_order(capfd):
    with quiet.filtered_stderr(no_gpu=True):
        write(INITIALIZE + STUB + "first\n" + CUINIT)
        write(ONEDNN + OTHERS + "not harmless: " + INITIALIZE + "without an end")
    assert capfd.readouterr().err == "first\n" + OTHERS + "not harmless: " + INITIALIZE + "without an end"
    write(INITIALIZE)
    assert capfd.readouterr().err == INITIALIZE


def test_where_there_is_a_gpu_a_driver_that_fails_is_said(capfd):
    with quiet.filtered_stderr(no_gpu=False):
        write(INITIALIZE + STUB + CUINIT)
    assert capfd.readouterr().err == STUB + CUINIT


def test_an_import_that_fails_keeps_its_messages(capfd):
    with pytest.raises(ImportError), quiet.filtered_stderr(no_gpu=True):
        write(STUB + "libcudnn.so: cannot open\n")
        raise ImportError
    assert capfd.readouterr().err == "libcudnn.so: cannot open\n"


CRASH = """
import os, signal
from simsiam_tf.cli.quiet import filtered_stderr
with filtered_stderr(no_gpu=True):
    os.write(2, b"WARNING: All log messages before absl::InitializeLog() is called are written to STDERR\\n")
    os.write(2, b"F0000 illegal instruction\\nlast words")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_process_that_dies_keeps_its_last_words():
    done = subprocess.run([sys.executable, "-c", CRASH], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == -9
    assert done.stderr == "F0000 illegal instruction\nlast words"


@pytest.mark.parametrize(
    ("file", "expected"),
    [(None, False), ("dev/nvidia0", True), ("dev/nvidiactl", True), ("dev/dxg", True), ("dev/kfd", True)],
)
def test_a_gpu_is_looked_for_by_its_files(tmp_path, monkeypatch, file, expected):
    monkeypatch.setattr(sys, "platform", "linux")
    (tmp_path / "dev").mkdir()
    if file:
        (tmp_path / file).touch()
    assert quiet.has_gpu(tmp_path) is expected
    monkeypatch.setattr(sys, "platform", "win32")
    assert quiet.has_gpu(tmp_path)


@pytest.mark.parametrize(("has_gpu", "given", "after"), [(False, None, "-1"), (False, "0", "0"), (True, None, None)])
def test_cuda_is_off_where_there_is_no_gpu_unless_the_user_says_otherwise(monkeypatch, has_gpu, given, after):
    monkeypatch.setattr(quiet, "has_gpu", lambda: has_gpu)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if given is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", given)
    with quiet.loading_tensorflow():
        assert os.environ.get("CUDA_VISIBLE_DEVICES") == after
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")  # what monkeypatch undoes


def test_debugging_shows_everything(console, capfd):
    console.setLevel(logging.DEBUG)
    with quiet.loading_tensorflow():
        write(STUB)
    assert capfd.readouterr().err == STUB


def test_the_filter_is_a_program_of_the_standard_library_alone():
    """It starts in milliseconds, before everything else."""
    text = pathlib.Path(quiet.__file__).read_text()
    assert "simsiam_tf." not in "".join(line for line in text.splitlines() if line.startswith(("import", "from")))
