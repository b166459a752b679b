"""What a TPU of several hosts is let through with, and what is said of the rest."""

import dataclasses
import logging
import types

import numpy as np
import pytest
from PIL import Image

from simsiam_tf.config.data import DataConfig
from simsiam_tf.config.devices import DeviceConfig
from simsiam_tf.config.methods import SimSiamConfig
from simsiam_tf.config.model import ModelConfig
from simsiam_tf.config.preparation import PrepareConfig
from simsiam_tf.data.dataset import DataSet
from simsiam_tf.distribute.strategy import ONE_DEVICE
from simsiam_tf.errors import UsageError
from simsiam_tf.preparation.prepare import prepare
from simsiam_tf.training import pretrain as training
from simsiam_tf.training import slices
from simsiam_tf.training.pretrain import pretrain
from simsiam_tf.training.workdir import Workdir
from tests.config.test_run import make_config

BUCKET = "gs://b/run"


def config_of(workdir=BUCKET, every=1, **data):
    config = make_config(knn_every_epochs=every)
    run = dataclasses.replace(config.run, workdir=workdir)
    return dataclasses.replace(config, data=DataConfig(image_size=32, global_batch_size=4, **data), run=run)


def shards(**more):
    return {"dataset": "shards", "data_dir": "gs://b/shards", **more}


@pytest.mark.parametrize(
    "data",
    [{}, {"data_dir": "local"}, {"dataset": "shapes"}, shards(), shards(input="tensorflow")],
    ids=str,
)
def test_input_without_python_is_let_through(data):
    slices.check_settings(config_of(**data), 2)


@pytest.mark.parametrize(
    ("config", "calls_python", "message"),
    [
        (config_of("runs/w"), False, r"^--workdir must be .* --workdir=gs://BUCKET/runs/NAME\. Received: runs/w\.$"),
        (config_of("s3://b/w"), False, r"^--workdir must be .* Received: s3://b/w\.$"),
        (config_of(dataset="folder", data_dir="gs://b/i"), False, r"^--dataset must be .* Received: folder\.$"),
        (config_of(), True, r"^--dataset must be .* held in memory, or --dataset=shards.* Received: cifar10\.$"),
        (config_of(**shards(input="python")), False, r"^--input must be .*--input=tensorflow\. Received: python\.$"),
        (config_of(**shards(data_dir="s")), False, r"^--data_dir must be .* --data_dir=gs://BUCKET.* Received: s\.$"),
        (config_of(**shards(data_dir="")), False, r"^--data_dir must be .* Received: none\.$"),
    ],
)
def test_what_a_slice_cannot_do_is_refused_in_a_sentence(config, calls_python, message):
    slices.check_settings(config, 1, calls_python)
    with pytest.raises(UsageError, match=message):
        slices.check_settings(config, 2, calls_python)


def test_several_addresses_are_refused_before_anything_is_connected_or_read(tmp_path):
    config = config_of(str(tmp_path / "w"))
    config = dataclasses.replace(config, devices=DeviceConfig(tpu="grpc://127.0.0.1:1,grpc://127.0.0.1:2"))
    with pytest.raises(UsageError, match=r"^--workdir must be a folder that all hosts can write to"):
        pretrain(config)
    assert not (tmp_path / "w").exists()


@pytest.fixture
def two_hosts(monkeypatch):
    """As if the strategy were a TPU of two hosts."""
    monkeypatch.setattr(slices, "hosts_of_tpu", lambda strategy: 2)


@pytest.fixture
def photos(tmp_path, rng):
    for split in ("train", "val"):
        for i in range(8):
            path = tmp_path / "photos" / split / f"class{i % 2}" / f"{i}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(rng.integers(0, 256, (40, 40, 3), np.uint8)).save(path)
    return DataConfig(dataset="folder", data_dir=str(tmp_path / "photos"), image_size=32, global_batch_size=4)


@pytest.fixture
def prepared(photos, tmp_path):
    prepare(DataSet(photos), PrepareConfig(out=str(tmp_path / "shards"), shard_images=3))
    return dataclasses.replace(photos, dataset="shards", data_dir=str(tmp_path / "shards"))


def opened(data):
    """Settings of a run on a slice, and its images: those of the settings, wherever they are."""
    dataset = DataSet(data)
    return dataclasses.replace(config_of(), data=data), types.SimpleNamespace(data=dataset, source=dataset.training)


def in_bucket(data):
    return dataclasses.replace(data, data_dir="gs://b/shards")


def test_the_graph_of_the_input_decides(two_hosts, two_replicas, photos, prepared, monkeypatch):
    config, images = opened(prepared)
    slices.check_input(dataclasses.replace(config, data=in_bucket(prepared)), two_replicas, images.source)
    # A folder under another name, so that only its graph tells.
    config, images = opened(photos)
    with pytest.raises(UsageError, match=r"^--dataset must be .* Received: shapes\.$"):
        slices.check_input(
            dataclasses.replace(config, data=dataclasses.replace(photos, dataset="shapes")), two_replicas, images.source
        )
    monkeypatch.setattr(slices, "hosts_of_tpu", lambda strategy: 1)
    slices.check_input(config, two_replicas, images.source)


def test_monitors_whose_images_python_reads_are_off(two_hosts, prepared, caplog):
    config, images = opened(prepared)
    with caplog.at_level(logging.INFO, "simsiam_tf"):
        assert slices.without_blind_monitor(config, ONE_DEVICE, images).run.knn_every_epochs == 0
    (record,) = caplog.records
    assert record.message.startswith("The monitors (kNN and the spread of the features) are off: Python reads")
    config, images = opened(DataConfig(dataset="shapes", image_size=32, global_batch_size=4))
    assert slices.without_blind_monitor(config, ONE_DEVICE, images) is config


def test_monitors_stay_on_one_host(photos):
    config, images = opened(photos)
    assert slices.without_blind_monitor(config, ONE_DEVICE, images) is config


@pytest.mark.slow
def test_a_run_on_several_hosts_checks_its_input_and_switches_its_monitors_off(
    two_hosts, two_replicas, prepared, tmp_path, monkeypatch, caplog
):
    """A run to its end, as if two replicas on this machine were those of two hosts."""
    checked = []
    monkeypatch.setattr(slices, "_BUCKET", "")
    monkeypatch.setattr(slices, "check_input", lambda *arguments: checked.append(arguments))
    monkeypatch.setattr(training, "hosts_of_tpu", lambda strategy: 2)
    monkeypatch.setattr(training, "make_strategy", lambda devices: two_replicas)
    heads = SimSiamConfig(projector_layers=2, projector_dim=16, predictor_dim=8)
    config = dataclasses.replace(
        config_of(str(tmp_path / "w")),
        data=prepared,
        model=ModelConfig(arch="resnet18", width=0.0625, of_method=heads),
    )
    config = dataclasses.replace(config, run=dataclasses.replace(config.run, epochs=1))
    with caplog.at_level(logging.INFO, "simsiam_tf"):
        pretrain(config)
    assert len(checked) == 1
    assert "The monitors (kNN and the spread of the features) are off" in caplog.text
    assert [line["epoch"] for line in Workdir(tmp_path / "w").metrics()] == [0, 1]
    assert not any("feature_effective_rank" in line for line in Workdir(tmp_path / "w").metrics())
    assert Workdir(tmp_path / "w").summary()["knn_top1"]["value"] is None


def test_a_set_that_turns_out_to_be_read_by_python_is_refused(two_hosts, two_replicas, photos, tmp_path, monkeypatch):
    """Whether a set of TFDS is held in memory is known once it is opened, and before a run chooses its settings."""
    monkeypatch.setattr(slices, "_BUCKET", "")
    monkeypatch.setattr(training, "hosts_of_tpu", lambda strategy: 2)
    monkeypatch.setattr(training, "make_strategy", lambda devices: two_replicas)
    images = types.SimpleNamespace(source=opened(photos)[1].source)
    monkeypatch.setattr(training.OpenedImages, "open", lambda config, strategy: images)
    config = config_of(str(tmp_path / "w"), dataset="imagenet2012")
    with pytest.raises(UsageError, match=r"^--dataset must be .* Received: imagenet2012\.$"):
        pretrain(config, choose=lambda *arguments: pytest.fail("too late"))
