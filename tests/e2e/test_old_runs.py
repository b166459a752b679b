"""Runs of commit dc5c22e, kept in tests/fixtures: they can be resumed, judged, loaded and served."""

import functools
import json
import pathlib
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf

from simsiam_tf.augment import ops
from simsiam_tf.data.shapes import make_shapes
from tests.conftest import ROOT, run_script
from tests.evaluation.judging import judge, summary

pytestmark = pytest.mark.slow

OLD = ROOT / "tests" / "fixtures" / "run_dc5c22e"


@pytest.fixture
def old_run(tmp_path):
    """A copy of an old run, for one test to do with as it likes."""
    return lambda name: pathlib.Path(shutil.copytree(OLD / name, tmp_path / name))


@pytest.fixture
def finished(old_run):
    return old_run("finished")


def lines(text):
    return [json.loads(line) for line in text.splitlines()]


def stored(split, name):
    (file,) = (OLD / "finished" / "features").glob(f"shapes-{split}-*/{name}-00000.npy")
    return np.load(file)


def flags_of(run):
    """The flags that the run was started with, but for its folder."""
    command = json.loads((run / "config.json").read_text())["command"]
    return [flag for flag in command[1:] if not flag.startswith("--workdir=")]


def resume(script, name, folder, *more):
    """Goes on with a copy of an old run by its own flags and more; returns the copy's folder."""
    workdir = pathlib.Path(shutil.copytree(OLD / name, folder / name))
    done = run_script(script, *flags_of(workdir), *more, f"--workdir={workdir}")
    assert done.returncode == 0, done.stderr
    step = {"interrupted": 6, "mocov2": 6, "alternation": 5}[name]
    assert f"Continuing at step {step}:" in done.stdout
    return workdir


@pytest.fixture(scope="module")
def resumed(tmp_path_factory):
    return functools.cache(lambda name: resume("train.py", name, tmp_path_factory.mktemp("resumed")))


@pytest.mark.parametrize("name", ["interrupted", "mocov2", pytest.param("alternation", marks=pytest.mark.long)])
def test_an_interrupted_run_goes_on_as_if_it_had_not_been(resumed, name):
    ours = lines((resumed(name) / "metrics.jsonl").read_text())
    whole = lines((OLD / "whole" / f"{name}.jsonl").read_text())
    assert [line["step"] for line in ours] == [line["step"] for line in whole]
    for one, other in zip(ours[1:], whole[1:], strict=True):
        # Another CPU adds up in another order; a state that was not restored is off by far more.
        for metric in ("loss", "z_std_scaled", "learning_rate"):
            assert one[metric] == pytest.approx(other[metric], abs=1e-4), (metric, one["step"])


def test_a_later_version_with_one_more_setting_goes_on_with_the_same_bits(resumed, tmp_path):
    """The setting's absence in config.json means what the run did, not today's default."""
    later = resume("tests/e2e/with_new_setting.py", "interrupted", tmp_path, "--new_setting=0.2")
    assert summary(later)["weights_sha256"] == summary(resumed("interrupted"))["weights_sha256"]


def test_its_features_are_the_same(finished):
    shutil.rmtree(finished / "features")
    judge(finished, protocol="embed")
    (folder,) = (finished / "embeddings").iterdir()
    np.testing.assert_allclose(np.load(folder / "features.npy"), stored("train", "features"), rtol=0, atol=1e-6)


def test_its_stored_features_have_no_checksums_and_are_made_anew(finished, console, capsys):
    before = summary(finished)
    judge(finished, protocol="knn", knn_k=(200, 20))
    assert "damaged or have no checksums" in capsys.readouterr().err
    after = summary(finished)
    for name in ("knn_top1", "knn_top1_k20_t0.1"):  # of 1000 images, a few of which lie between two classes
        assert after[name]["value"] == pytest.approx(before[name]["value"], abs=0.3)
    judge(finished, protocol="knn")
    assert "damaged" not in capsys.readouterr().err


def test_its_probes_and_its_fine_tuning_go_on_from_where_they_ended(finished):
    before = summary(finished)
    judge(finished, protocol="linear", probe=("cached", "paper"), probe_epochs=2)
    judge(finished, protocol="finetune", label_fraction=0.01, finetune_epochs=2, finetune_batch_size=16)
    after = summary(finished)
    assert after["finetune_1pct_top1"]["continued_at_step"] == 6
    for name in ("linear_cached_top1", "linear_paper_custom_top1", "finetune_1pct_top1"):
        assert after[name]["value"] == pytest.approx(before[name]["value"], abs=0.3)
    assert len(list((finished / "finetune").iterdir())) == 1
    assert len(list((finished / "probes").iterdir())) == 3


def test_every_other_protocol_judges_it(finished, tmp_path):
    before = summary(finished)
    judge(finished, protocol="diagnostics", diagnostics_max_examples=200)
    for name, record in before.items():
        if name.startswith("diagnostics_"):
            assert summary(finished)[name]["value"] == pytest.approx(record["value"], rel=1e-3)
    judge(finished, protocol="report")
    assert "knn_top1" in (finished / "report.html").read_text()
    from PIL import Image

    Image.fromarray(make_shapes("test")[0][0]).save(tmp_path / "query.png")
    judge(finished, protocol="neighbours", query=str(tmp_path / "query.png"))
    assert list((finished / "neighbours").glob("*.png"))
    judge(finished, protocol="export")  # is there already
    shutil.rmtree(finished / "export")
    judge(finished, protocol="export")
    assert (finished / "export" / "backbone.keras").exists()


def test_its_exports_give_its_features():
    images = make_shapes("test")[0][:200]
    expected = stored("test", "features")[:200]
    serve = tf.saved_model.load(str(OLD / "finished" / "export")).signatures["serving_default"]
    np.testing.assert_allclose(serve(image=tf.constant(images))["features"], expected, rtol=0, atol=1e-6)
    backbone = keras.models.load_model(OLD / "finished" / "export" / "backbone.keras")
    normalized = ops.normalize(tf.cast(images, tf.float32))
    np.testing.assert_allclose(backbone(normalized, training=False), expected, rtol=0, atol=1e-6)


def test_a_finished_run_is_left_alone(finished):
    before = (finished / "summary.json").read_bytes()
    done = run_script("train.py", *flags_of(finished), f"--workdir={finished}")
    assert done.returncode == 0, done.stderr
    assert "This run is finished" in done.stdout
    assert (finished / "summary.json").read_bytes() == before
