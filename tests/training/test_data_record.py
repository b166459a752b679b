"""A run keeps to its images, and says so when they change."""

import dataclasses
import json

import numpy as np
import pytest
from PIL import Image

from simsiam_tf.config.data import DataConfig
from simsiam_tf.config.run import KNN_BANK
from simsiam_tf.data.dataset import DataSet
from simsiam_tf.data.order import ShuffledOrder
from simsiam_tf.data.sources import memory_source
from simsiam_tf.errors import UsageError
from simsiam_tf.files import write_json
from simsiam_tf.training.data_record import as_started, compare_data, held_out_by, knn_bank, knn_bank_rule
from simsiam_tf.training.workdir import Workdir
from tests.config.test_run import make_config
from tests.conftest import ROOT


def in_folder(root):
    config = make_config()
    return dataclasses.replace(config, run=dataclasses.replace(config.run, workdir=str(root)))


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "images"
    for name in ("a/1", "a/2", "a/3", "b/1", "b/2", "b/3", "b/4", "b/5"):
        path = folder / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((8, 8, 3), len(name), np.uint8)).save(path)
    return folder


@pytest.fixture
def start(tmp_path, images):
    """Compares the images as each start of a run does; `step` is that of its latest checkpoint."""
    workdir = Workdir(tmp_path / "run")
    (workdir.checkpoints).mkdir(parents=True)

    def compared(step=0, folder=images, **data):
        config = in_folder(workdir.root)
        data = DataConfig(dataset="folder", data_dir=str(folder), global_batch_size=2, **data)
        config = dataclasses.replace(config, data=data)
        if not workdir.config_path.exists():
            write_json(workdir.config_path, {"config": config.to_dict()})
        if step:
            (workdir.checkpoints / f"step-{step}.index").touch()
            (workdir.checkpoints / f"step-{step}.data-00000-of-00001").touch()
        opened = DataSet(config.data, held_out_by(workdir.root))
        order = ShuffledOrder(opened.training.num_examples, 2, 0)
        order = compare_data(config, workdir, opened, order, ["an overview"])
        content = json.loads(workdir.config_path.read_text())
        write_json(workdir.config_path, {**content, "resolved": {"steps_per_epoch": order.steps_per_epoch}})
        return order

    compared.workdir = workdir
    return compared


def test_the_same_images_go_on_wherever_they_lie(start, images):
    assert start().steps_per_epoch == 4
    assert start.workdir.data()["classes"] == ["a", "b"]
    assert start.workdir.data()["overview"] == ["an overview"]
    assert start(step=3).epoch_steps == 0
    assert start(step=3, folder=images.rename(images.parent / "moved")).epoch_steps == 0


def test_other_images_are_refused_or_go_on_when_told_to(start, images, caplog):
    start()
    for name in ("6", "7"):
        Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(images / "b" / f"{name}.png")
    with pytest.raises(UsageError, match=r"--data_changed=continue.* Received: 8 images on record, 10 now"):
        start(step=3)
    with caplog.at_level("WARNING", "simsiam_tf"):
        order = start(step=3, data_changed="continue")
    assert "step 4 is the first that shows the new ones" in caplog.text
    assert (order.num_examples, order.steps_per_epoch) == (10, 4)
    assert start(step=5).steps_per_epoch == 4  # the new images are the run's from now on


def test_a_changed_set_before_the_first_checkpoint_is_a_new_start(start, images):
    start()
    (images / "a" / "1.png").unlink()
    assert start().num_examples == 7


def test_an_older_run_records_its_images_and_is_refused_others_by_their_number(start, images):
    workdir = start.workdir
    start()
    content = json.loads(workdir.config_path.read_text())
    del content["data"]
    write_json(workdir.config_path, {**content, "resolved": {"training_images": 9, "steps_per_epoch": 4}})
    with pytest.raises(UsageError, match="9 images on record, 8 now"):
        start(step=3)
    write_json(workdir.config_path, {**content, "resolved": {"training_images": 8, "steps_per_epoch": 4}})
    start(step=3)
    assert workdir.data()["images"] == 8


def test_held_out_images_stay_held_out(start, images):
    start(step=1, holdout=0.3)
    held_out = held_out_by(start.workdir.root)
    assert len(held_out) == 2
    for i in range(20):
        Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(images / "a" / f"{i}0.png")
        Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(images / "b" / f"{i}0.png")
    start(step=1, holdout=0.3, data_changed="continue")
    assert held_out_by(start.workdir.root) == held_out


def test_an_attempt_without_a_checkpoint_holds_nothing_out_for_the_next(start, images):
    start(holdout=0.3)
    assert held_out_by(start.workdir.root) is None
    start(holdout=0.6)
    start(step=1, holdout=0.6)
    assert len(held_out_by(start.workdir.root)) == 4


def test_an_older_run_goes_on_as_it_did(tmp_path):
    config = in_folder(tmp_path)
    assert as_started(config).data.exif == "upright"
    content = config.to_dict()
    del content["data"]["exif"]
    write_json(tmp_path / "config.json", {"config": content})
    assert as_started(config).data.exif == "ignore"


def test_a_changed_set_is_shown_in_passes_of_its_own():
    order = ShuffledOrder(10, 2, seed=0, epoch_steps=4)
    epochs, shown = zip(*(order.examples(np.arange(2 * step, 2 * step + 2)) for step in range(10)), strict=True)
    assert [int(epoch) for epoch in epochs] == [0] * 5 + [1] * 5
    for number in range(2):
        assert sorted(np.concatenate(shown[5 * number : 5 * number + 5]).tolist()) == list(range(10))


def test_a_run_keeps_to_the_rule_by_which_its_neighbours_are_chosen(tmp_path):
    config = in_folder(tmp_path)
    labelled = memory_source("x", np.zeros((60_000, 1, 1, 3), np.uint8), np.arange(60_000) % 10, 10)
    assert np.bincount(knn_bank(config, labelled).labels).tolist() == [5000] * 10
    fifty = labelled.first(50_000)  # as many as CIFAR-10 has
    assert knn_bank(config, fifty) is fifty
    few = dataclasses.replace(config, run=dataclasses.replace(config.run, knn_max_examples=100))
    assert np.bincount(knn_bank(few, labelled).labels).tolist() == [10] * 10
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "step-3.index").touch()
    for resolved, count in (({}, 60_000), ({"knn_bank": "first"}, 60_000), ({"knn_bank": "balanced"}, 50_000)):
        write_json(tmp_path / "config.json", {"config": config.to_dict(), "resolved": resolved})
        assert knn_bank(config, labelled).num_examples == count
        assert knn_bank_rule(tmp_path) == ("balanced" if count == 50_000 else "first")


@pytest.mark.parametrize(
    "path", sorted((ROOT / "docs/results/paper/runs").glob("*/config.json")), ids=lambda p: p.parent.name
)
def test_the_neighbours_of_kept_runs_are_those_that_they_had(path):
    """All 50,000 images of CIFAR-10, as before the rule."""
    config = json.loads(path.read_text())["config"]
    assert (config["data"]["dataset"], config["run"]["knn_max_examples"]) == ("cifar10", 0)
    assert KNN_BANK >= 50_000


@pytest.mark.parametrize("content", [b'"abc"', b"{}", b"[]", b"[1]", b"5", b"null", b"\xff", b""])
def test_a_damaged_list_of_held_out_images_is_refused(tmp_path, content):
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "step-3.index").touch()
    (tmp_path / "holdout.json").write_bytes(content)
    with pytest.raises(UsageError, match=r"^holdout\.json must be one that train\.py wrote"):
        held_out_by(tmp_path)


def test_settings_of_another_type_in_config_json_are_left_to_be_refused(tmp_path):
    for data in (None, 5, [], "text"):
        write_json(tmp_path / "config.json", {"config": {"data": data}})
        assert as_started(in_folder(tmp_path)) == in_folder(tmp_path)


def test_a_folder_whose_name_is_too_long_holds_no_run(tmp_path):
    """It is refused as a request when the folder is opened."""
    long = tmp_path / ("x" * 5000)
    assert held_out_by(long) is None
    assert knn_bank_rule(long) == "balanced"
