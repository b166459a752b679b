import dataclasses
import json

import numpy as np
import pytest

from simsiam_tf.config.detection_data import DetectionDataConfig
from simsiam_tf.config.detector import DetectorConfig
from simsiam_tf.config.devices import DeviceConfig
from simsiam_tf.config.transfer import BackboneConfig, FineTuningConfig, TransferConfig, TransferRunConfig
from simsiam_tf.data.objects.annotations import AnnotatedImages, Objects
from simsiam_tf.data.sources import memory_source
from simsiam_tf.errors import UsageError
from simsiam_tf.files import write_json
from simsiam_tf.training.detector_factory import metric_of, open_weights
from simsiam_tf.training.transfer_summary import check_same_data, data_of, score_records
from simsiam_tf.training.transfer_workdir import TransferWorkdir, is_transfer


def config_of(workdir="w", backbone="none", run=(), **data):
    return TransferConfig(
        backbone=BackboneConfig(backbone=backbone),
        detector=DetectorConfig(),
        optimizer=FineTuningConfig(milestones=()),
        data=DetectionDataConfig(**{"data_dir": "data", **data}),
        devices=DeviceConfig(),
        run=TransferRunConfig(workdir=str(workdir), **dict(run)),
    )


def images(count=2, shift=0.0):
    no = np.zeros(1, bool)
    columns = {"classes": np.zeros(1, np.int64), "areas": np.ones(1), "ids": np.arange(1)}
    box = np.array([[1.0 + shift, 1, 9, 9]])
    objects = [
        Objects(boxes=box, crowd=no, difficult=no, masks=None, size=(16, 16), image_id=i, **columns)
        for i in range(count)
    ]
    source = memory_source("made/test", np.zeros((count, 16, 16, 3), np.uint8), None)
    return AnnotatedImages(source, objects, ("disk",), False, (0,))


@pytest.mark.parametrize(
    ("dataset", "split", "metric"),
    [
        ("coco", "", "coco"),
        ("made", "", "coco"),
        ("voc", "", "voc07"),
        ("voc", "2012_val", "voc12"),
        ("voc", "test", "voc12"),
        ("tfds:voc", "", "voc07"),
        ("tfds:voc/2007", "", "voc07"),
        ("tfds:voc/2012", "validation", "voc12"),
        ("tfds:VOC/2007", "", "voc07"),
        ("tfds:voc:4.0.0", "", "voc07"),
        ("tfds:vocals", "", "coco"),
        ("tfds:coco/2017", "", "coco"),
    ],
)
def test_voc_2007_is_measured_by_eleven_points(dataset, split, metric):
    assert metric_of(config_of(dataset=dataset, eval_split=split)) == metric


def test_a_named_metric_is_taken():
    assert metric_of(config_of(dataset="made", run={"metric": "voc12"})) == "voc12"


def test_a_run_of_transfer_py_is_no_backbone(tmp_path):
    write_json(tmp_path / "config.json", TransferWorkdir._kept(config_of()))
    assert is_transfer(str(tmp_path))
    with pytest.raises(UsageError, match=r"--backbone must hold the weights of a backbone: .* not a run of transfer"):
        open_weights(config_of(backbone=str(tmp_path)))


def test_settings_survive_the_file_and_resuming_compares_those_that_matter(tmp_path):
    config = config_of(tmp_path / "run", dataset="coco", data_dir=str(tmp_path))
    TransferWorkdir.open_for_training(config)
    workdir = TransferWorkdir(tmp_path / "run")
    kept = workdir.config()
    assert dataclasses.replace(kept, data=config.data) == config
    write_json(workdir.summary_path, {})
    moved = dataclasses.replace(config, run=dataclasses.replace(config.run, save_every_steps=7))
    TransferWorkdir.open_for_training(moved).record_settings(moved)
    assert workdir.config().run.save_every_steps == 7
    other = dataclasses.replace(config, run=dataclasses.replace(config.run, metric="voc07"))
    with pytest.raises(UsageError, match=r"other settings \(metric: auto in the folder, voc07 now\)"):
        TransferWorkdir.open_for_training(other)


def test_a_config_of_another_kind_is_refused(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"format": 2, "config": {}}))
    assert not is_transfer(str(tmp_path))
    with pytest.raises(UsageError, match=r"--workdir must be the folder of a run of transfer\.py"):
        TransferWorkdir(tmp_path).config()
    kept = TransferWorkdir._kept(config_of())
    write_json(tmp_path / "config.json", {**kept, "format": 99})
    with pytest.raises(UsageError, match="this version reads up to"):
        TransferWorkdir(tmp_path).config()


def test_other_images_or_objects_are_noticed():
    before = data_of(images(), images(1))
    check_same_data(before, data_of(images(), images(1)), "began with")
    with pytest.raises(UsageError, match=r"not those that the run began with\. Received: 3 images and 3 objects, 2"):
        check_same_data(before, data_of(images(3), images(1)), "began with")
    with pytest.raises(UsageError, match="The images to evaluate on, or their objects, are not those"):
        check_same_data(before, data_of(images(), images(1, shift=1.0)), "began with")


def test_a_score_that_cannot_be_measured_is_recorded_with_its_reason():
    config = config_of(dataset="made")
    records = score_records({"box_ap": 12.5, "box_ap50": None}, config, images(), "coco", checkpoint="step-1")
    assert records["box_ap"]["value"] == 12.5
    assert records["box_ap"]["metric"] == "coco"
    assert (records["box_ap50"]["value"], records["box_ap50"]["reason"]) == (None, "there is no object to find")
    assert set(records) == {"box_ap", "box_ap50", "box_ap75"}  # the images have no masks
