"""Runs, data and results in a bucket, by the programs as a user starts them, on TensorFlow's own gs:// file system."""

import json
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import simsiam_tf
from tests.conftest import ROOT, TINY_RUN_FLAGS, run_script
from tests.fake_gcs import Fault

pytestmark = pytest.mark.slow

FLAGS = [*TINY_RUN_FLAGS, "--save_every_steps=2"]
SMALL = ["--arch=resnet18", "--width=0.0625", "--image_size=32", "--projector_dim=16", "--projector_layers=2"]
SMALL += ["--predictor_dim=8", "--global_batch_size=8", "--epochs=1", "--knn_every_epochs=1", "--deterministic"]


def summary(gcs, run="run"):
    return json.loads(gcs.read(f"{run}/summary.json"))


def run_command(name, *arguments):
    """Runs a command of simsiam_tf.cli."""
    command = [sys.executable, "-m", f"simsiam_tf.cli.{name}", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=ROOT, check=False)


def records(text):
    """What metrics.jsonl holds, but for the times."""
    names = ("epoch", "step", "loss", "z_std_scaled", "learning_rate", "knn_top1", "online_probe_top1")
    return [{name: line[name] for name in names if name in line} for line in map(json.loads, text.splitlines())]


def assert_is(gcs, local):
    """Checks that the run in the bucket is one of this machine, and has been left in order."""
    assert summary(gcs)["weights_sha256"] == json.loads((local / "summary.json").read_text())["weights_sha256"]
    assert records(gcs.read("run/metrics.jsonl").decode()) == records((local / "metrics.jsonl").read_text())
    assert ".lock" not in gcs.names("run/")


def test_a_killed_run_ends_as_a_local_one(gcs, tiny_run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    flags = [*FLAGS, f"--workdir={gcs.address}/run"]
    killed = run_script("tests/e2e/killed.py", "SIGKILL", 3, *flags)
    assert killed.returncode == -9, killed.stderr
    assert ".lock" in gcs.names("run/")
    gcs.fail(Fault(503, every=30, times=3))  # now and then the bucket is busy
    done = run_script("train.py", *flags)
    assert done.returncode == 0, done.stderr
    assert "was not left in order by process" in done.stderr
    assert "Continuing at step 2:" in done.stdout
    assert_is(gcs, tiny_run)
    assert {path.name for path in tmp_path.iterdir()} == {"tiny"}  # nothing was written here


@pytest.mark.long
def test_a_run_whose_bucket_refuses_a_checkpoint_ends_as_a_local_one(gcs, tiny_run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    flags = [*FLAGS, f"--workdir={gcs.address}/run"]
    # From the sixth step on the bucket takes nothing more.
    gcs.fail(Fault(503, every=30, times=3), Fault(403, writing=True, once=r"checkpoints/step-6\.index$"))
    done = run_script("train.py", *flags)
    assert done.returncode == 1, done.stderr
    assert done.stderr.splitlines()[-1].startswith("error: The bucket refuses (the account may lack the right")
    assert "Traceback" not in done.stderr
    gcs.fail()
    saved = gcs.download("run/checkpoints", tmp_path / "saved")
    assert (saved / "step-6.index").exists()
    assert tf.train.load_checkpoint(str(saved / "step-6")).get_variable_to_shape_map()
    done = run_script("train.py", *flags)
    assert done.returncode == 0, done.stderr
    assert "Continuing at step 6:" in done.stdout
    assert_is(gcs, tiny_run)
    assert {path.name for path in tmp_path.iterdir()} == {"tiny", "saved"}  # nothing was written here


@pytest.mark.long
def test_every_protocol_reads_and_writes_a_bucket(gcs, tiny_run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    gcs.upload(tiny_run, "run")
    protocols = "--protocol=knn,linear,diagnostics,embed,neighbours,finetune,export,report"
    quick = ["--probe=cached", "--probe_epochs=1", "--finetune_epochs=1", "--label_fraction=0.01"]
    done = run_script("evaluate.py", protocols, *quick, f"--workdir={gcs.address}/run")
    assert done.returncode == 0, done.stderr
    found = summary(gcs)
    for name in ("knn_top1", "linear_cached_top1", "diagnostics_z_alignment", "finetune_1pct_top1", "export"):
        assert name in found, name
    names = gcs.names("run/")
    for name in ("diagnostics.json", "neighbours/sheet.png", "report.html", "export/backbone.keras"):
        assert name in names
    (folder,) = {name.split("/")[1] for name in names if name.startswith("embeddings/")}
    here = gcs.download("run", tmp_path / "here")
    features = np.load(here / "embeddings" / folder / "features.npy")
    assert np.isfinite(features).all()
    serve = tf.saved_model.load(str(here / "export")).signatures["serving_default"]
    images = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), np.uint8)
    assert serve(image=tf.constant(images))["features"].shape == (2, features.shape[1])
    assert len(gcs.read("run/report.html")) > 10_000
    backbone = simsiam_tf.load(f"{gcs.address}/run")
    assert backbone(np.zeros((1, 32, 32, 3), np.float32)).shape == (1, features.shape[1])
    shown = run_command("show", f"--workdir={gcs.address}/run")
    assert f"{gcs.address}/run/report.html: the curves" in shown.stdout


@pytest.mark.long
def test_shards_are_made_in_a_bucket_and_trained_on(gcs, tmp_path):
    rng = np.random.default_rng(0)
    for i in range(24):
        photo = tmp_path / "photos" / ("test" if i % 4 == 0 else "train") / f"class{i % 2}" / f"{i}.jpg"
        photo.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (40, 50, 3), np.uint8)).save(photo)
    out = f"{gcs.address}/shards"
    made = run_command("prepare", "--dataset=folder", f"--data_dir={tmp_path}/photos", f"--out={out}")
    assert made.returncode == 0, made.stderr
    assert f"and index.json, into {out}. Train on them with" in made.stdout
    done = run_script("train.py", "--dataset=shards", f"--data_dir={out}", *SMALL, f"--workdir={out}-run")
    assert done.returncode == 0, done.stderr
    assert "kNN" in done.stdout
    assert "weights_sha256" in summary(gcs, "shards-run")
    assert not [name for name in gcs.names("shards/") if name.startswith(".unfinished")]


def test_chosen_settings_are_read_again_from_a_bucket(gcs, tmp_path):
    rng = np.random.default_rng(0)
    (tmp_path / "photos").mkdir()
    for i in range(8):
        Image.fromarray(rng.integers(0, 256, (40, 50, 3), np.uint8)).save(tmp_path / "photos" / f"{i}.png")
    (tmp_path / "made").mkdir()
    (tmp_path / "made" / "chosen.flags").write_text("# small\n--epochs=3\n--image_size=32\n--arch=resnet18\n")
    gcs.upload(tmp_path / "made", "run")
    command = ["train.py", "--dataset=folder", f"--data_dir={tmp_path}/photos", f"--workdir={gcs.address}/run"]
    done = run_script(*command, "--dry_run", "--global_batch_size=4")
    assert done.returncode == 0, done.stderr
    assert f"The settings are those of {gcs.address}/run/chosen.flags" in done.stdout
    refused = run_script("train.py", f"--flagfile={gcs.address}/run/chosen.flags")
    assert refused.returncode == 2
    assert "--flagfile must be a file of this machine; copy it here first." in refused.stderr
