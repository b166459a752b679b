"""Shared settings: a quiet TensorFlow, and logical devices so that one CPU can play several replicas."""

import fcntl
import logging
import os
import pathlib
import shutil
import subprocess
import sys
import threading

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
os.environ.setdefault("GCS_READ_CACHE_BLOCK_SIZE_MB", "4")  # as the commands read from buckets
os.environ.setdefault("GCS_READ_CACHE_MAX_SIZE_MB", "256")
os.environ.setdefault("GCS_STAT_CACHE_MAX_AGE", "0")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")  # the same bits each time, as with --deterministic

import keras
import numpy as np
import pytest
import tensorflow as tf

from simsiam_tf.cli.console import show_messages
from tests.fake_gcs import serve

ROOT = pathlib.Path(__file__).parents[1]


def pytest_configure(config):
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)


@pytest.hookimpl(tryfirst=True)
def pytest_fixture_setup(fixturedef):
    """What a whole module shares is made before fixed_seed, and must not be another thing each time."""
    if fixturedef.scope != "function":
        keras.utils.set_random_seed(0)


@pytest.fixture(autouse=True)
def fixed_seed():
    keras.utils.set_random_seed(0)


@pytest.fixture
def console():
    """Shows the package's messages, as the commands do."""
    logger = logging.getLogger("simsiam_tf")
    before = logger.handlers[:], logger.level, logger.propagate
    show_messages()
    yield logger
    logger.handlers[:], logger.propagate = before[0], before[2]
    logger.setLevel(before[1])


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def float64():
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    yield
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy("float32")


@pytest.fixture(scope="session")
def two_replicas():
    # One for all tests: a second strategy on the same devices would reuse the keys of its collectives.
    return tf.distribute.MirroredStrategy(["/cpu:0", "/cpu:1"])


@pytest.fixture
def gcs(tmp_path_factory, monkeypatch):
    """A bucket that TensorFlow, in this process and in those that it starts, takes for one of Google Cloud Storage."""
    with serve(tmp_path_factory.mktemp("gcs")) as found:
        for name, value in found.environment().items():
            monkeypatch.setenv(name, value)
        yield found
        found.fail()
        # What was left behind ends while there is a bucket; the end of Python would abort in it.
        for request in (thread for thread in threading.enumerate() if thread.name == "bucket"):
            request.join(30)


def run_script(*arguments, **environment) -> subprocess.CompletedProcess:
    """Runs train.py or evaluate.py as a user would, from another folder."""
    return subprocess.run(
        [sys.executable, str(ROOT / arguments[0]), *map(str, arguments[1:])],
        capture_output=True,
        text=True,
        timeout=600,
        env={**os.environ, **environment},
        check=False,
    )


TINY_FLAGS = (
    "--dataset=shapes",
    "--max_examples=64",
    "--knn_max_examples=200",
    "--image_size=32",
    "--arch=resnet18",
    "--width=0.0625",
    "--projector_layers=2",
    "--projector_dim=16",
    "--predictor_dim=8",
    "--global_batch_size=16",
    "--epochs=2",
)


TINY_RUN_FLAGS = (*TINY_FLAGS, "--online_probe")


@pytest.fixture(scope="session")
def _tiny_run(tmp_path_factory):
    """A finished run, made by one of the processes of pytest-xdist for all."""
    folder = tmp_path_factory.getbasetemp()
    folder = folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder
    workdir = folder / "tiny"
    with (folder / "tiny.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (workdir / "summary.json").exists():
            done = run_script("train.py", *TINY_RUN_FLAGS, f"--workdir={workdir}")
            assert done.returncode == 0, done.stderr
            (folder / "tiny.stdout").write_text(done.stdout)
            (folder / "tiny.stderr").write_text(done.stderr)
    return workdir


@pytest.fixture
def tiny_run(_tiny_run, tmp_path):
    """A finished run with an online probe, for one test to do with as it likes."""
    return pathlib.Path(shutil.copytree(_tiny_run, tmp_path / "tiny"))


@pytest.fixture(scope="session")
def _tiny_transfer(tmp_path_factory):
    """A finished run of transfer.py, made by one of the processes of pytest-xdist for all."""
    from simsiam_tf.training.transfer import transfer
    from tests.detection.tiny import tiny_transfer_config

    folder = tmp_path_factory.getbasetemp()
    folder = folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder
    workdir = folder / "tiny_transfer"
    with (folder / "tiny_transfer.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (workdir / "summary.json").exists():
            transfer(tiny_transfer_config(workdir))
    return workdir


@pytest.fixture
def tiny_transfer(_tiny_transfer, tmp_path):
    """A finished run of transfer.py, for one test to do with as it likes."""
    return pathlib.Path(shutil.copytree(_tiny_transfer, tmp_path / "tiny_transfer"))
