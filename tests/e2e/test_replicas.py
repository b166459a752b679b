"""The same training run on 1, 2 and 4 devices and on two workers, from train.py."""

import json
import os
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow as tf

from simsiam_tf.training.checkpoints import saved_checkpoints
from tests.conftest import ROOT, TINY_FLAGS, run_script

STEPS = 20
# One step an epoch, so that metrics.jsonl has each step's loss.
FLAGS = [*TINY_FLAGS, "--max_examples=31", f"--epochs={STEPS}", f"--knn_every_epochs={STEPS}"]


def start(workdir, *flags, **environment):
    workdir.parent.mkdir(parents=True, exist_ok=True)
    log = (workdir.parent / f"{workdir.name}.log").open("w")
    return subprocess.Popen(
        [sys.executable, str(ROOT / "train.py"), *FLAGS, *flags, f"--workdir={workdir}"],
        stdout=log,
        stderr=subprocess.STDOUT,
        env={**os.environ, **environment},
    )


def train(folder, name, *flags):
    """A whole run on `name` devices, or on two workers, each with a folder of its own; the chief's folder."""
    if name == "workers":
        processes = start_workers(folder, *flags)
    else:
        processes = [start(folder / "0", *flags, *([f"--cpu_devices={name}"] if int(name) > 1 else []))]
    for i, process in enumerate(processes):
        assert process.wait(timeout=600) == 0, (folder / f"{i}.log").read_text()
    return folder / "0"


def start_workers(folder, *flags, others=()):
    """Two workers; `others` are flags of the second alone."""
    sockets = [socket.socket() for _ in range(2)]
    for s in sockets:
        s.bind(("127.0.0.1", 0))
    workers = [f"127.0.0.1:{s.getsockname()[1]}" for s in sockets]
    for s in sockets:
        s.close()
    return [
        start(
            folder / str(i),
            *flags,
            *(others if i else ()),
            TF_CONFIG=json.dumps({"cluster": {"worker": workers}, "task": {"type": "worker", "index": i}}),
        )
        for i in range(2)
    ]


def state(workdir):
    """Every number that a run ends with: weights, moving statistics, optimiser, averages."""
    reader = tf.train.load_checkpoint(saved_checkpoints(workdir / "checkpoints")[0])
    names = [n for n in reader.get_variable_to_shape_map() if n.startswith(("model/", "optimizer/", "averages/"))]
    return {name: reader.get_tensor(name) for name in names}


def lines(workdir):
    return [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The folder of a whole run, taken once."""
    runs = {}

    def on(devices, precision="float64"):
        if (devices, precision) not in runs:
            runs[devices, precision] = train(tmp_path_factory.mktemp("trained"), devices, f"--precision={precision}")
        return runs[devices, precision]

    return on


@pytest.mark.parametrize(
    "devices",
    [
        pytest.param("2", marks=pytest.mark.slow),
        pytest.param("4", marks=pytest.mark.long),
        pytest.param("workers", marks=pytest.mark.slow),
    ],
)
def test_replicas_and_workers_train_like_one_device(trained, devices):
    ours, theirs = trained(devices), trained("1")
    found, expected = state(ours), state(theirs)
    assert set(found) == set(expected)
    for name in expected:
        np.testing.assert_allclose(found[name], expected[name], rtol=0, atol=1e-9, err_msg=name)
    assert len(lines(ours)) == len(lines(theirs)) == STEPS + 1
    for one, other in zip(lines(ours), lines(theirs), strict=True):
        for name in ("epoch", "step", "loss", "z_std_scaled", "learning_rate", "knn_top1"):
            assert one.get(name) == pytest.approx(other.get(name), abs=1e-9), name
    assert not (ours.parent / "1").exists()  # only the chief writes


@pytest.mark.long
def test_two_replicas_that_were_killed_go_on_to_the_bit(tmp_path):
    flags = [*FLAGS, "--epochs=6", "--knn_every_epochs=0", "--precision=float64", "--cpu_devices=2"]
    whole = run_script("train.py", *flags, f"--workdir={tmp_path / 'whole'}")
    assert whole.returncode == 0, whole.stderr
    flags.append(f"--workdir={tmp_path / 'run'}")
    killed = run_script("tests/e2e/killed.py", "SIGKILL", 3, *flags)
    assert killed.returncode == -9, killed.stderr
    done = run_script("train.py", *flags)
    assert done.returncode == 0, done.stderr
    assert "Continuing at step " in done.stdout
    found, expected = state(tmp_path / "run"), state(tmp_path / "whole")
    assert set(found) == set(expected)
    for name in expected:
        np.testing.assert_array_equal(found[name], expected[name], err_msg=name)
    names = ("epoch", "step", "loss", "z_std_scaled")
    ours, theirs = (
        [[line.get(n) for n in names] for line in lines(run)] for run in (tmp_path / "run", tmp_path / "whole")
    )
    assert ours == theirs


@pytest.mark.long
@pytest.mark.parametrize("devices", ["2", "4", "workers"])
def test_float32_stays_close(trained, devices):
    ours, theirs = (lines(trained(name, "float32")) for name in (devices, "1"))
    assert ours[1]["loss"] == pytest.approx(theirs[1]["loss"], abs=1e-5)
    assert ours[-1]["loss"] == pytest.approx(theirs[-1]["loss"], abs=1e-3)


def wait_for(processes, happened, folder):
    while not happened():
        assert all(process.poll() is None for process in processes), (folder / "0.log").read_text()
        time.sleep(0.1)


@pytest.mark.long
def test_a_signal_to_one_worker_stops_both_and_both_go_on_from_the_chief_s_checkpoint(tmp_path):
    flags = ["--max_examples=64", "--epochs=60", "--knn_every_epochs=0"]  # four steps an epoch
    whole, folder = tmp_path / "whole", tmp_path / "run"
    train(whole, "workers", *flags)
    processes = start_workers(folder, *flags)
    wait_for(processes, lambda: (folder / "0" / "checkpoints" / "step-12.index").exists(), folder)
    processes[1].send_signal(signal.SIGTERM)
    for i, process in enumerate(processes):
        assert process.wait(timeout=60) == 143
        assert "Stopped by SIGTERM; saved at step " in (folder / f"{i}.log").read_text()
    processes = start_workers(folder, *flags)
    step = int(saved_checkpoints(folder / "0" / "checkpoints")[0].rpartition("-")[2])
    wait_for(processes, lambda: (folder / "0" / "checkpoints" / f"step-{step // 4 * 4 + 8}.index").exists(), folder)
    processes[1].kill()
    assert processes[0].wait(timeout=60) == 1
    assert "error: Another worker has stopped" in (folder / "0.log").read_text()
    train(folder, "workers", *flags)
    assert not (folder / "1").exists()  # it needs no checkpoint, and writes none
    digests = [json.loads((f / "0" / "summary.json").read_text())["weights_sha256"]["value"] for f in (whole, folder)]
    assert digests[0] == digests[1]
    assert f"weights {digests[0]}." in (folder / "1.log").read_text()
    for ours, theirs in zip(lines(folder / "0"), lines(whole / "0"), strict=True):
        assert (ours["step"], ours.get("loss")) == (theirs["step"], theirs.get("loss"))


def wait_for_errors(processes, folder):
    codes = [process.wait(timeout=120) for process in processes]
    logs = [(folder / f"{i}.log").read_text() for i in range(len(processes))]
    assert not any("Traceback" in log for log in logs), logs
    return codes, [next(line for line in log.splitlines() if line.startswith("error: ")) for log in logs]


@pytest.mark.slow
def test_what_the_chief_refuses_the_others_do_not_start(tmp_path):
    (tmp_path / "0" / "checkpoints").mkdir(parents=True)
    (tmp_path / "0" / "checkpoints" / "step-1.index").touch()
    codes, (chief, other) = wait_for_errors(start_workers(tmp_path), tmp_path)
    assert codes == [2, 2]
    assert chief.startswith("error: --workdir holds checkpoints but no config.json")
    assert other == "error: The chief refused the run; its output says why."


@pytest.mark.slow
def test_a_worker_with_other_flags_is_refused(tmp_path):
    codes, (chief, other) = wait_for_errors(start_workers(tmp_path, others=["--seed=1"]), tmp_path)
    assert codes[1] == 2
    assert other.startswith("error: Every worker must have the same flags and number of images as the chief")
    assert codes[0] == 1
    assert chief.startswith("error: Another worker has stopped")
