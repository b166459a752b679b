"""train.py and evaluate.py as a user runs them."""

import functools
import json
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests.conftest import ROOT, TINY_FLAGS, TINY_RUN_FLAGS, run_script


@pytest.fixture(scope="module")
def finished(_tiny_run, tmp_path_factory):
    """A finished run, and what it printed to stdout and stderr."""
    workdir = shutil.copytree(_tiny_run, tmp_path_factory.mktemp("runs") / "tiny")
    return workdir, *((_tiny_run.parent / f"tiny.{stream}").read_text() for stream in ("stdout", "stderr"))


def summary(workdir):
    return json.loads((workdir / "summary.json").read_text())


def lines(workdir):
    return [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]


def tree(workdir):
    return {path: path.stat().st_mtime_ns for path in workdir.rglob("*") if path.is_file()}


def test_a_run_leaves_its_record(finished, _tiny_run):
    workdir, stdout, _ = finished
    records = summary(workdir)
    wanted = {"knn_top1", "knn_top1_untrained", "loss", "z_std_scaled"}
    assert wanted | {"weights_sha256", "images_per_second", "wall_seconds", "epochs", "recipe"} <= set(records)
    assert all("value" in record for record in records.values())
    assert records["images_per_second"]["unit"] == "source images, 2 views each"
    assert 0 <= records["knn_top1"]["value"] <= 100
    assert (records["knn_top1"]["k"], records["knn_top1"]["temperature"], records["knn_top1"]["train_size"]) == (
        200,
        0.1,
        200,
    )
    assert [line["epoch"] for line in lines(workdir)] == [0, 1, 2]
    assert all(1 < line["feature_effective_rank"] <= 32 for line in lines(workdir))  # features have 32 channels
    assert all(0 <= line["feature_dead_channels"] < 32 for line in lines(workdir))
    assert lines(workdir)[-1]["loss"] == records["loss"]["value"]
    config = json.loads((workdir / "config.json").read_text())
    assert config["config"]["run"]["seed"] == 0
    assert config["versions"]["tensorflow"]
    assert list((workdir / "tensorboard").glob("events*"))
    assert f"results in {_tiny_run}/summary.json" in stdout.splitlines()[-1]


def test_a_healthy_run_prints_its_own_lines_alone(finished):
    _, stdout, stderr = finished
    assert stderr == ""
    ours = r"64 training images in 10 classes|Looked at \d+: nothing unusual|Starting: |Embedding shapes/|"
    ours += r"Monitor \(kNN\): 1,200 images, |The monitor took .*; a larger --knn_every_epochs makes it|"
    ours += r"Epoch \d/2$|4/4 - |epoch \d: |Training: \d of 8 steps|Done: "
    for line in stdout.splitlines():
        assert re.match(ours, line), line
    assert "\r" not in stdout
    assert "\b" not in stdout
    assert not re.search("warning|collapse", stdout, re.I)


@pytest.mark.long
def test_another_method_with_its_own_optimizer_and_views_leaves_its_record(tmp_path):
    """SwAV as its authors train it, with multi-crop."""
    swav = ["--method=swav", "--num_prototypes=8", "--small_views=2", "--optimizer=lars", "--nolars_exclude"]
    done = run_script("train.py", *TINY_FLAGS, *swav, f"--workdir={tmp_path}/swav")
    assert done.returncode == 0, done.stderr
    records = summary(tmp_path / "swav")
    assert records["images_per_second"]["unit"] == "source images, 4 views each"
    assert 0 < records["loss"]["value"] < np.log(8) + 2 / 0.1  # cosines by a temperature of 0.1
    assert 0 <= records["knn_top1"]["value"] <= 100


def test_a_finished_run_is_left_alone(finished):
    workdir, *_ = finished
    before = tree(workdir)
    again = run_script("train.py", *TINY_RUN_FLAGS, f"--workdir={workdir}")
    assert again.returncode == 0
    assert "This run is finished" in again.stdout
    assert tree(workdir) == before


@pytest.mark.slow
def test_another_configuration_is_refused(finished):
    workdir, *_ = finished
    before = tree(workdir)
    other = run_script("train.py", *TINY_RUN_FLAGS, "--seed=5", f"--workdir={workdir}")
    assert_refused(other, "other settings (seed: 0 in the folder, 5 now)")
    assert_refused(run_script("train.py", *TINY_RUN_FLAGS, "--noresume", f"--workdir={workdir}"), "--noresume")
    assert tree(workdir) == before


def assert_refused(done, message):
    assert done.returncode == 2, done.stderr
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert message in errors[0]
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--no_such_flag=1"], "no_such_flag"),
        (["--epochs=-1"], "--epochs must not be negative. Received: -1"),
        (["--arch=vgg"], "vgg"),
        (["surplus"], "Received: surplus"),
        (["--global_batch_size=9", "--cpu_devices=2"], "multiple of the number of replicas (2). Received: 9"),
        (["--eval_split=tset"], "has the splits train, test. Received: 'tset'"),
        (["--strategy=one", "--cpu_devices=2"], "--strategy=one takes no --cpu_devices above 1"),
        (["--flagfile=/nowhere.flags"], "/nowhere.flags"),
    ],
)
def test_an_impossible_request_ends_with_one_sentence(tmp_path, flags, message):
    done = run_script("train.py", *TINY_FLAGS, f"--workdir={tmp_path / 'run'}", *flags)
    assert_refused(done, message)
    assert not (tmp_path / "run").exists()


def test_a_workdir_that_cannot_be_written_is_refused(tmp_path):
    (tmp_path / "file").write_text("in the way")
    done = run_script("train.py", *TINY_FLAGS, f"--workdir={tmp_path / 'file' / 'run'}")
    assert_refused(done, "--workdir must be a folder that can be written")


@pytest.mark.slow
def test_evaluation_adds_to_the_summary(finished):
    workdir, *_ = finished
    for flags in (
        ["--protocol=knn", "--knn_k=50"],
        ["--protocol=linear", "--probe=sgd,cached", "--probe_augmentation=linear_eval", "--probe_epochs=2"],
        ["--protocol=export"],
    ):
        done = run_script("evaluate.py", *flags, f"--workdir={workdir}")
        assert done.returncode == 0, done.stderr
    records = summary(workdir)
    assert (records["knn_top1"]["k"], records["knn_top1"]["train_size"]) == (50, 5000)
    assert records["linear_sgd_custom_top1"]["optimizer"] == "sgd"
    assert records["linear_cached_top1"]["chosen_among"] == 40
    assert records["loss"]["value"] is not None
    assert (workdir / "export" / "saved_model.pb").exists()
    assert (workdir / "export" / "backbone.keras").exists()
    before = tree(workdir)
    again = run_script("evaluate.py", "--protocol=export", f"--workdir={workdir}")
    assert again.returncode == 0
    assert "already" in again.stdout
    assert tree(workdir) == before


def test_evaluation_of_no_run_is_refused(tmp_path):
    assert_refused(run_script("evaluate.py", "--protocol=knn", f"--workdir={tmp_path}"), "must be the folder of a run")


@pytest.mark.slow
def test_an_unlabelled_folder_trains_without_knn(tmp_path):
    rng = np.random.default_rng(0)
    for i in range(20):
        image = rng.integers(0, 256, (24 + i, 40, 3), np.uint8)
        (tmp_path / "photos" / f"{i % 3}").mkdir(parents=True, exist_ok=True)
        (tmp_path / "photos" / f"{i}.png").write_bytes(tf.io.encode_png(image).numpy())
    flags = [*TINY_FLAGS, "--dataset=folder", f"--data_dir={tmp_path / 'photos'}", f"--workdir={tmp_path / 'run'}"]
    done = run_script("train.py", *flags, "--epochs=1")
    assert done.returncode == 0, done.stderr
    assert "kNN is off: the data set folder has no labels." in done.stdout
    assert summary(tmp_path / "run")["knn_top1"]["value"] is None
    assert abs(summary(tmp_path / "run")["loss"]["value"]) < 0.9
    done = run_script("evaluate.py", "--protocol=knn", f"--workdir={tmp_path / 'run'}")
    assert done.returncode == 0, done.stderr
    assert "kNN needs labels: the data set folder has no labels." in done.stdout
    assert_refused(
        run_script("evaluate.py", "--protocol=linear", f"--workdir={tmp_path / 'run'}"),
        "needs a training split and a test split with labels",
    )


@pytest.mark.slow
def test_a_run_that_does_not_learn_says_so_once_and_on_any_console(tmp_path):
    """Black images give a loss of exactly 0; the console lacks the characters of the folder's name."""
    photos = tmp_path / "データ"
    photos.mkdir()
    for i in range(16):
        Image.new("RGB", (40, 40)).save(photos / f"{i}.png")
    flags = [*TINY_FLAGS, "--dataset=folder", f"--data_dir={photos}", "--epochs=3", f"--workdir={tmp_path / 'run'}"]
    done = run_script("train.py", *flags, PYTHONIOENCODING="cp1252")
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("the run is not learning: loss 0") == 1
    assert "\\u30c7\\u30fc\\u30bf" in done.stdout
    assert summary(tmp_path / "run")["loss"]["value"] == 0


@pytest.mark.parametrize(
    ("script", "words"), [("train.py", ["--predictor_lr", "Table 1c"]), ("evaluate.py", ["--knn_k"])]
)
def test_help_explains_the_flags(script, words):
    done = run_script(script, "--help")
    assert done.returncode == 0
    for word in words:
        assert word in done.stdout


@pytest.fixture
def photographs(tmp_path, rng):
    """A folder of 100 JPEG files of two classes and different sizes, one of them cut short."""
    folder = tmp_path / "photographs"
    for i in range(100):
        (folder / f"class{i % 2}").mkdir(parents=True, exist_ok=True)
        coarse = Image.fromarray(rng.integers(0, 256, (4, 5, 3), np.uint8))
        coarse.resize((40 + i, 50), Image.Resampling.BICUBIC).save(folder / f"class{i % 2}" / f"{i:03}.jpg")
    cut = folder / "class0" / "042.jpg"
    cut.write_bytes(cut.read_bytes()[:300])
    return folder


@pytest.mark.slow
def test_unreadable_files_are_skipped_listed_and_counted(photographs, tmp_path):
    run = tmp_path / "run"
    flags = [*TINY_FLAGS, "--dataset=folder", f"--data_dir={photographs}", "--max_examples=0", f"--workdir={run}"]
    bad = [photographs / name for name in ("class0/042.jpg", "class1/003.jpg", "class1/005.jpg")]
    for path in bad[1:]:
        path.write_text("no image")
    assert_refused(run_script("train.py", *flags), "At most 1.00% of the 100 images of")
    allowed = run_script("train.py", *flags, "--max_bad_fraction=0.03")
    assert allowed.returncode == 0, allowed.stderr
    for path in bad:
        assert allowed.stderr.count(f"warning: skipped an image that cannot be read: {path}: ") == 1
    assert sorted((run / "skipped.txt").read_text().splitlines()) == [str(path) for path in bad]
    assert summary(run)["skipped_images"]["value"] == 3
    assert 0 <= summary(run)["input_wait_fraction"]["value"] <= 1
    judge = ["evaluate.py", "--protocol=linear", "--probe_augmentation=linear_eval", "--probe_epochs=2"]
    judge += ["--eval_split=train", f"--workdir={run}"]
    judged = run_script(*judge)
    assert judged.returncode == 0, judged.stderr
    assert summary(run)["linear_paper_custom_top1_photographs_train_train"]["train_size"] == 97
    assert_refused(run_script(*judge, "--max_bad_fraction=0.01"), "At most 1.00% of the 100 images of")


@pytest.mark.long
@pytest.mark.parametrize("flags", [[], ["--cpu_devices=2"]])
def test_a_run_that_augments_on_the_device_is_that_on_the_host(finished, tmp_path, flags):
    workdir, *_ = finished
    flags = [*TINY_FLAGS, "--augment_on=device", "--knn_every_epochs=0", f"--workdir={tmp_path / 'run'}", *flags]
    done = run_script("train.py", *flags)
    assert done.returncode == 0, done.stderr
    for ours, theirs in zip(lines(tmp_path / "run")[1:], lines(workdir)[1:], strict=True):
        assert ours["loss"] == pytest.approx(theirs["loss"], abs=1e-4)


@pytest.mark.slow
def test_the_preview_is_a_picture_and_overwrites_nothing(tmp_path):
    out = tmp_path / "new" / "preview.png"
    command = [sys.executable, "-m", "simsiam_tf.augment.preview", "--dataset=shapes", "--image_size=32"]
    command += ["--augmentation=byol", "--num_images=5", "--num_epochs=2", f"--out={out}"]
    run = functools.partial(subprocess.run, command, capture_output=True, text=True, cwd=ROOT, check=False)
    done = run()
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"Wrote {out}: 5 images of shapes/train")
    width, height = Image.open(out).size
    assert width == 5 * (96 + 2)
    assert height > 5 * 96
    assert_refused(run(), f"--out exists and is not overwritten; move it away or name another file. Received: {out}")


@pytest.mark.long
@pytest.mark.parametrize(("kind", "rates"), [("cifar", ("host", "all")), ("imagenet", ("host", "all", "decode"))])
def test_the_input_benchmark_writes_its_rates(tmp_path, kind, rates):
    path = tmp_path / "rates.json"
    flags = [f"--kind={kind}", "--rounds=1", "--seconds=0.1", f"--json={path}"]
    done = run_script("benchmarks/input_pipeline.py", *flags)
    assert done.returncode == 0, done.stderr
    values = json.loads(path.read_text())
    assert all(values[f"{rate}_images_per_second"] > 0 for rate in rates)
    assert not any(isinstance(value, dict | list) for value in values.values())
