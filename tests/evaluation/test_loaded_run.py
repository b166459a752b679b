import dataclasses
import os
import shutil

import keras
import numpy as np
import pytest

import simsiam_tf
from simsiam_tf.augment.ops import normalize
from simsiam_tf.config.data import DataConfig
from simsiam_tf.config.devices import DeviceConfig
from simsiam_tf.data.sources import memory_source
from simsiam_tf.distribute.strategy import ONE_DEVICE, make_strategy
from simsiam_tf.errors import UsageError
from simsiam_tf.evaluation import loaded_run
from simsiam_tf.evaluation.loaded_run import LoadedRun
from simsiam_tf.interop.formats import Exported, export


def test_load_gives_the_backbone_as_it_was_trained(tiny_run, rng):
    images = rng.integers(0, 256, (4, 32, 32, 3)).astype("uint8")
    run = LoadedRun.load(str(tiny_run), "", {}, make_strategy(DeviceConfig(strategy="mirrored")))
    expected = run.features(memory_source("four", images, None)).loaded()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        backbone = simsiam_tf.load(tiny_run)
        assert keras.config.dtype_policy().name == "mixed_bfloat16"
    finally:
        keras.config.set_dtype_policy("float32")
    np.testing.assert_allclose(backbone(normalize(images)), expected, atol=1e-5)


def test_what_is_no_run_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"^workdir must be the folder of a run, .* Received: "):
        simsiam_tf.load(tmp_path)


def test_a_run_in_a_folder_of_any_name_is_loaded_and_exported(tiny_run, tmp_path):
    folder = tiny_run.rename(tmp_path / f"lr[0.1]*?\\{os.fsdecode(b'caf' + bytes([0xE9]))}")
    run = LoadedRun.load(str(folder), "", {}, ONE_DEVICE)
    assert run.checkpoint == "step-8"
    export(Exported(run.backbone, 32), folder / "export", ["savedmodel", "keras"])
    assert {path.name for path in (folder / "export").iterdir()} >= {"saved_model.pb", "backbone.keras"}


@pytest.mark.parametrize("name", ["features", "probes", "finetune", "checkpoints"])
def test_a_file_in_place_of_a_folder_is_said_before_anything_is_loaded(tiny_run, name):
    if (tiny_run / name).exists():
        shutil.rmtree(tiny_run / name)
    (tiny_run / name).write_text("mine")
    with pytest.raises(UsageError, match=f"{name} in --workdir must be a folder; move what is there away"):
        LoadedRun.load(str(tiny_run), "", {}, ONE_DEVICE)


def test_a_damaged_summary_is_said_before_anything_is_loaded(tiny_run):
    (tiny_run / "summary.json").write_text("[]")
    with pytest.raises(UsageError, match=r"summary\.json must be one that train\.py wrote"):
        LoadedRun.load(str(tiny_run), "", {}, ONE_DEVICE)
    assert simsiam_tf.load(tiny_run).feature_dim == 32  # the weights do not need it


@pytest.mark.parametrize("name", ["n" * 5000, "a\0b"])
def test_a_name_that_no_folder_can_have_is_refused(name):
    with pytest.raises(UsageError, match=r"Received: "):
        simsiam_tf.load(name)


def test_records_are_named_after_the_folder_of_other_shards():
    own = DataConfig(dataset="shards", data_dir="/data/a")
    assert loaded_run._suffix(own, own) == ""
    others = [dataclasses.replace(own, data_dir=f"/data/{name}") for name in ("b", "c")]
    assert [loaded_run._suffix(data, own) for data in others] == ["_b_train", "_c_train"]
