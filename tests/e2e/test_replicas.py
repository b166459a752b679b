"""The same training run on 1, 2 and 4 devices and on two workers, from train.py."""

import json
import os
import socket
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from tests.conftest import ROOT, TINY_FLAGS

STEPS = 20
# One step an epoch, so that metrics.jsonl has each step's loss.
FLAGS = [*TINY_FLAGS, "--max_examples=31", f"--epochs={STEPS}", "--knn_every_epochs=10"]


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


def start_workers(folder, *flags):
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
            TF_CONFIG=json.dumps({"cluster": {"worker": workers}, "task": {"type": "worker", "index": i}}),
        )
        for i in range(2)
    ]


def state(workdir):
    """Every number that a run ends with: weights, moving statistics, optimiser, averages."""
    reader = tf.train.load_checkpoint(tf.train.latest_checkpoint(str(workdir / "checkpoints")))
    names = [n for n in reader.get_variable_to_shape_map() if n.startswith(("model/", "optimizer/", "averages/"))]
    return {name: reader.get_tensor(name) for name in names}


def lines(workdir):
    return [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    runs = {}

    def of(precision):
        if precision not in runs:
            runs[precision] = train(tmp_path_factory.mktemp(precision), "1", f"--precision={precision}")
        return runs[precision]

    return of


@pytest.mark.parametrize("devices", ["2", pytest.param("4", marks=pytest.mark.slow), "workers"])
def test_replicas_and_workers_train_like_one_device(alone, tmp_path, devices):
    ours, theirs = train(tmp_path, devices, "--precision=float64"), alone("float64")
    found, expected = state(ours), state(theirs)
    assert set(found) == set(expected)
    for name in expected:
        np.testing.assert_allclose(found[name], expected[name], rtol=0, atol=1e-9, err_msg=name)
    assert len(lines(ours)) == len(lines(theirs)) == STEPS + 1
    for one, other in zip(lines(ours), lines(theirs), strict=True):
        for name in ("epoch", "step", "loss", "z_std_scaled", "learning_rate", "knn_top1"):
            assert one.get(name) == pytest.approx(other.get(name), abs=1e-9), name
    assert not (tmp_path / "1").exists()  # only the chief writes


@pytest.mark.slow
@pytest.mark.parametrize("devices", ["2", "4", "workers"])
def test_float32_stays_close(alone, tmp_path, devices):
    ours, theirs = (lines(run) for run in (train(tmp_path, devices, "--precision=float32"), alone("float32")))
    assert ours[1]["loss"] == pytest.approx(theirs[1]["loss"], abs=1e-5)
    assert ours[-1]["loss"] == pytest.approx(theirs[-1]["loss"], abs=1e-3)
