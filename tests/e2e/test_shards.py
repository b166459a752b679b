"""Training on shards: killed and resumed to the bit, and the same on two replicas."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from simsiam_tf.config.data import DataConfig
from simsiam_tf.config.preparation import PrepareConfig
from simsiam_tf.data.dataset import DataSet
from simsiam_tf.preparation.prepare import prepare
from tests.conftest import TINY_FLAGS, run_script

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def flags(tmp_path_factory):
    path, rng = tmp_path_factory.mktemp("data"), np.random.default_rng(0)
    for split, count in (("train", 70), ("val", 10)):
        for i in range(count):
            folder = path / "photos" / split / f"class{i % 2}"
            folder.mkdir(parents=True, exist_ok=True)
            coarse = rng.integers(0, 256, (4, 4, 3), np.uint8)
            Image.fromarray(coarse).resize((48, 40)).save(folder / f"{i}.jpg")
    data = DataSet(DataConfig(dataset="folder", data_dir=str(path / "photos")))
    prepare(data, PrepareConfig(out=str(path / "shards"), shard_images=9))
    own = [f"--data_dir={path / 'shards'}", "--dataset=shards", "--epochs=3", "--save_every_steps=3"]
    return [*TINY_FLAGS, *own]


@pytest.fixture(scope="module")
def whole(flags, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("whole") / "run"
    done = run_script("train.py", *flags, f"--workdir={workdir}")
    assert done.returncode == 0, done.stderr
    return workdir


def summary(workdir):
    return json.loads((workdir / "summary.json").read_text())


def losses(workdir):
    lines = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    return [line["loss"] for line in lines if "loss" in line]


@pytest.mark.long
def test_a_killed_run_ends_as_one_that_was_not(flags, whole, tmp_path):
    workdir = tmp_path / "run"
    killed = run_script("tests/e2e/killed.py", "SIGKILL", 7, *flags, f"--workdir={workdir}")
    assert killed.returncode == -9, killed.stderr
    other = run_script("train.py", *flags, "--input=python", f"--workdir={workdir}")
    assert other.returncode == 2
    assert "input: tensorflow in the folder, python now" in other.stderr
    done = run_script("train.py", *flags, "--input=tensorflow", f"--workdir={workdir}")
    assert done.returncode == 0, done.stderr
    assert summary(workdir)["weights_sha256"] == summary(whole)["weights_sha256"]
    assert losses(workdir) == losses(whole)


@pytest.mark.long
def test_two_replicas_train_on_the_same_batches(flags, whole, tmp_path):
    done = run_script("train.py", *flags, "--cpu_devices=2", f"--workdir={tmp_path / 'run'}")
    assert done.returncode == 0, done.stderr
    np.testing.assert_allclose(losses(tmp_path / "run"), losses(whole), atol=1e-5)


def test_images_cropped_by_the_device_train_alike(flags, whole, tmp_path):
    done = run_script("train.py", *flags, "--crop_on=device", f"--workdir={tmp_path / 'run'}")
    assert done.returncode == 0, done.stderr
    np.testing.assert_allclose(losses(tmp_path / "run"), losses(whole), atol=0.02)
    assert summary(tmp_path / "run")["weights_sha256"] != summary(whole)["weights_sha256"]


@pytest.mark.long
def test_methods_that_look_ahead_read_shards_by_python(flags, tmp_path):
    refused = run_script("train.py", *flags, "--alternation_steps=3", f"--workdir={tmp_path / 'run'}")
    assert refused.returncode == 2
    assert "add --input=python" in refused.stderr
    done = run_script("train.py", *flags, "--alternation_steps=3", "--input=python", f"--workdir={tmp_path / 'run'}")
    assert done.returncode == 0, done.stderr


def test_a_run_on_shards_is_evaluated_on_them_and_on_other_data(flags, whole, tmp_path):
    workdir = tmp_path / "run"
    shutil.copytree(whole, workdir)
    photos = next(flag for flag in flags if flag.startswith("--data_dir=")).removesuffix("shards") + "photos"
    for more in ([], ["--dataset=folder", photos]):
        done = run_script("evaluate.py", "--protocol=knn", f"--workdir={workdir}", *more)
        assert done.returncode == 0, done.stderr
    records = summary(workdir)
    # The same images, read by the same code.
    assert records["knn_top1"]["value"] == records["knn_top1_photos_train"]["value"]
