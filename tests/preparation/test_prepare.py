"""Shards hold the images of a data set, whatever happens while they are written."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from simsiam_tf.config.data import DataConfig
from simsiam_tf.config.preparation import PrepareConfig
from simsiam_tf.data.block_order import BlockOrder
from simsiam_tf.data.dataset import DataSet
from simsiam_tf.data.shards import shards_of
from simsiam_tf.distribute.input import Share
from simsiam_tf.errors import UsageError
from simsiam_tf.preparation import prepare as module
from simsiam_tf.preparation.prepare import prepare
from tests.conftest import ROOT


@pytest.fixture
def photos(tmp_path, rng):
    """Two classes of images to train on and to evaluate on, a few of which are no plain JPEGs, and a broken one."""
    for split, count in (("train", 20), ("val", 3)):
        for label in ("cat", "dog"):
            folder = tmp_path / "photos" / split / label
            folder.mkdir(parents=True)
            for i in range(count):
                image = Image.fromarray(rng.integers(0, 256, (12, 16, 3), np.uint8))
                image.save(folder / f"{i}.{'png' if i % 7 == 0 else 'jpg'}")
    (tmp_path / "photos/train/dog/broken.jpg").write_bytes(b"no image")
    return tmp_path / "photos"


def opened(folder, **settings):
    return DataSet(DataConfig(**{"dataset": "folder", "data_dir": str(folder), "max_bad_fraction": 0.2, **settings}))


def shards(folder):
    return DataSet(DataConfig(dataset="shards", data_dir=str(folder)))


def command(*flags):
    """Runs the command in a process of its own."""
    line = [sys.executable, "-m", "simsiam_tf.cli.prepare", *flags]
    return subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)


def content(folder):
    """The bytes of all files below a folder, by their names."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_shards_hold_the_images_labels_and_names_of_the_data_set(photos, tmp_path):
    data, out = opened(photos), tmp_path / "out"
    said = prepare(data, PrepareConfig(out=str(out), shard_images=9))
    assert said.startswith("Wrote 40 of train, 6 of test images as 6 shards, 0.0 MB in all, and index.json, into ")
    assert "1 unreadable ones are left out and listed there" in said
    made = shards(out)
    for ours, theirs in ((made.training, data.training), (made.evaluation, data.evaluation)):
        label = {theirs.name_of(i): theirs.classes[theirs.labels[i]] for i in range(theirs.num_examples)}
        place = {theirs.name_of(i): i for i in range(theirs.num_examples)}
        for i in range(ours.num_examples):
            name, image = ours.name_of(i), ours.files.load(i)
            assert ours.classes[ours.labels[i]] == label.pop(name)
            assert image.startswith(b"\xff\xd8")
            if name.endswith("jpg"):
                assert image == theirs.files.load(place[name])
        assert list(label) == (["dog/broken.jpg"] if theirs is data.training else [])
    index = json.loads((out / "index.json").read_text())
    assert index["left_out"] == [["train", "dog/broken.jpg", "no image of a kind that is read here"]]
    of_train = [shard["images"] for shard in index["splits"]["train"]["shards"]]
    assert sum(of_train) == 40
    assert set(of_train) <= {7, 8, 9}
    assert {path.name for path in out.iterdir()} == {
        "index.json",
        *(f"train-{i:05}-of-00005.tfrecord" for i in range(5)),
        "test-00000-of-00001.tfrecord",
    }


def test_the_number_of_images_and_splits_are_those_of_a_run(photos, tmp_path):
    prepare(opened(photos, max_examples=10), PrepareConfig(out=str(tmp_path / "few")))
    few = shards(tmp_path / "few")
    assert few.training.num_examples in (9, 10)
    assert few.labelled.num_examples == 40  # evaluations learn from all, as those of a run on the folder
    (photos / "unlabeled").mkdir()
    for i in range(5):
        shutil.copy(photos / "train/cat/1.jpg", photos / f"unlabeled/{i}.jpg")
    data = opened(photos, train_split="unlabeled")
    prepare(data, PrepareConfig(out=str(tmp_path / "unlabelled")))
    made = shards(tmp_path / "unlabelled")
    assert (made.training.num_examples, made.training.labels) == (5, None)
    assert made.labelled.num_examples == 40
    assert made.evaluation.classes == ("cat", "dog")
    assert made.lacks == ""


@pytest.mark.parametrize("stops", [(0,), (30,), (13, 10)])
def test_an_interrupted_preparation_ends_with_the_same_bytes(photos, tmp_path, monkeypatch, stops):
    data, real = opened(photos), module.plain_jpeg
    prepare(data, PrepareConfig(out=str(tmp_path / "whole"), shard_images=9))
    out = tmp_path / "stopped"
    for stop in stops:
        calls = []

        def interrupted(image, _calls=calls, _stop=stop, **options):
            _calls.append(image)
            if len(_calls) > _stop:
                raise KeyboardInterrupt
            return real(image, **options)

        monkeypatch.setattr(module, "plain_jpeg", interrupted)
        with pytest.raises(KeyboardInterrupt):
            prepare(opened(photos), PrepareConfig(out=str(out), shard_images=9))
        (out / "train-00001-of-00005.tfrecord.tmp123").write_bytes(b"of a process that was killed")
    counts = []
    monkeypatch.setattr(module, "plain_jpeg", lambda image, **options: counts.append(1) or real(image, **options))
    prepare(opened(photos), PrepareConfig(out=str(out), shard_images=9))
    assert content(out) == content(tmp_path / "whole")
    assert len(counts) < 47 or stops == (0,)


def test_finished_shards_are_left_as_they_are(photos, tmp_path):
    out = tmp_path / "out"
    prepare(opened(photos), PrepareConfig(out=str(out)))
    before = content(out)
    (out / ".unfinished").mkdir()  # as a kill after the last write leaves it
    (out / "train-00000-of-00001.tfrecord.tmp7").touch()
    assert "finished already" in prepare(opened(photos), PrepareConfig(out=str(out)))
    assert not (out / ".unfinished").exists()
    assert not list(out.glob("*.tmp*"))
    assert content(out) == before
    others = ({}, {"quality": 90}), ({"alpha": "white"}, {}), ({"max_examples": 7}, {}), ({"layout": "flat"}, {})
    for settings, options in others:
        with pytest.raises(UsageError, match="other images or settings, which are not overwritten"):
            prepare(opened(photos, **settings), PrepareConfig(out=str(out), **options))
    changes = {
        "val/cat/1.jpg": (photos / "val/cat/1.jpg").read_bytes() + b"\0",  # to evaluate on, and of another size
        "train/cat/new.jpg": (photos / "train/cat/1.jpg").read_bytes(),
    }
    for name, image in changes.items():
        before_change = (photos / name).read_bytes() if (photos / name).exists() else None
        (photos / name).write_bytes(image)
        with pytest.raises(UsageError, match="other images or settings"):
            prepare(opened(photos), PrepareConfig(out=str(out)))
        (photos / name).unlink() if before_change is None else (photos / name).write_bytes(before_change)
    assert "finished already" in prepare(opened(photos), PrepareConfig(out=str(out)))
    assert content(out) == before


def test_a_folder_of_other_things_is_not_written_into(photos, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"must be a new folder.*mine\.txt"):
        prepare(opened(photos), PrepareConfig(out=str(out)))
    assert content(out) == {"mine.txt": b"mine"}


def test_an_unfinished_preparation_of_other_settings_is_refused(photos, tmp_path, monkeypatch):
    config = PrepareConfig(out=str(tmp_path / "out"), shard_images=9)
    with monkeypatch.context() as patch:
        patch.setattr(module, "plain_jpeg", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            prepare(opened(photos), config)
    with pytest.raises(UsageError, match="unfinished preparation of other images or settings"):
        prepare(opened(photos), PrepareConfig(out=str(tmp_path / "out"), shard_images=8))
    assert prepare(opened(photos), config).startswith("Wrote")


def test_too_many_broken_images_are_refused_and_may_be_allowed(photos, tmp_path):
    for i in range(5):
        (photos / f"train/cat/broken{i}.jpg").write_bytes(b"no image")
    config = PrepareConfig(out=str(tmp_path / "out"), shard_images=9)
    with pytest.raises(UsageError, match=r"At most 1\.00% of the 46 images.* Received: 6, the first of them"):
        prepare(opened(photos, max_bad_fraction=0.01), config)
    assert prepare(opened(photos), config).startswith("Wrote 40 of train")


def test_images_in_memory_need_no_shards(tmp_path):
    with pytest.raises(UsageError, match="held in memory, and needs none"):
        prepare(DataSet(DataConfig(dataset="shapes")), PrepareConfig(out=str(tmp_path / "out")))
    assert not (tmp_path / "out").exists()


def test_values_that_are_not_known_are_asked_for(photos, tmp_path):
    Image.fromarray(np.ones((8, 8), np.float32)).save(photos / "train/cat/float.tif")
    with pytest.raises(UsageError, match=r"--value_range=0,1.*in .*float\.tif\."):
        prepare(opened(photos), PrepareConfig(out=str(tmp_path / "out")))
    prepare(opened(photos, value_range=(0.0, 1.0)), PrepareConfig(out=str(tmp_path / "other")))


def test_the_command_says_what_it_wrote_and_refuses_to_write_among_the_images(photos, tmp_path):
    flags = ["--dataset=folder", f"--data_dir={photos}", "--max_bad_fraction=0.2"]
    done = command(*flags, f"--out={tmp_path / 'out'}")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].endswith(f"--dataset=shards --data_dir={tmp_path / 'out'}.")
    for out in (photos, photos / "shards"):
        refused = command(*flags, f"--out={out}")
        assert refused.returncode == 2
        assert refused.stderr.startswith("error: --out must not be below --data_dir.")


def test_labels_that_changed_make_other_shards(photos, tmp_path):
    rows = [f"train/{label}/{i}.jpg,{label}" for label in ("cat", "dog") for i in range(1, 6)]
    for name, text in (("a", rows), ("b", [row.replace(",dog", ",wolf") for row in rows])):
        (tmp_path / f"{name}.csv").write_text("\n".join(text))
    config = PrepareConfig(out=str(tmp_path / "out"))
    prepare(opened(photos, labels=str(tmp_path / "a.csv")), config)
    with pytest.raises(UsageError, match="other images or settings"):
        prepare(opened(photos, labels=str(tmp_path / "b.csv")), config)


def test_shards_may_lie_in_a_folder_of_any_name(photos, tmp_path):
    out = tmp_path / os.fsdecode(b"x\xff [1]")
    prepare(opened(photos), PrepareConfig(out=str(out), shard_images=9))
    source = shards(out).training
    order = BlockOrder(source.num_examples, 8, 0, shards=shards_of(source.images))
    assert sum(len(index) for _, index, _ in order.records(Share(8), 0, 5).as_numpy_iterator()) == 40


def test_a_split_with_too_many_broken_images_is_named_with_one_of_its_own(photos, tmp_path):
    for i in range(5):
        (photos / f"val/cat/broken{i}.jpg").write_bytes(b"no image")
    with pytest.raises(UsageError, match=r"of the 11 images of .*val .* Received: 5, the first of them cat/broken"):
        prepare(opened(photos), PrepareConfig(out=str(tmp_path / "out")))


@pytest.mark.long
def test_ten_kills_leave_the_same_bytes(photos, tmp_path, rng):
    for i in range(1500):
        Image.fromarray(rng.integers(0, 256, (60, 80, 3), np.uint8)).save(photos / f"train/cat/more{i}.png")
    flags = ["--dataset=folder", f"--data_dir={photos}", "--max_bad_fraction=0.2", "--shard_images=50"]
    script = "import time, simsiam_tf.preparation.prepare as p\nreal = p.plain_jpeg\n"
    script += "def slow(*a, **k):\n    time.sleep(0.01)\n    return real(*a, **k)\n"
    script += "p.plain_jpeg = slow\nfrom simsiam_tf.cli.prepare import main\nmain()"
    out, kills = tmp_path / "killed", 0
    while kills < 10:
        line = [sys.executable, "-c", script, *flags, f"--out={out}"]
        process = subprocess.Popen(line, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        shards_before, end = len(list(out.glob("*.tfrecord"))), time.monotonic() + 60
        while len(list(out.glob("*.tfrecord"))) < min(shards_before + 2, 30) and time.monotonic() < end:
            time.sleep(0.02)
        time.sleep(float(rng.random()) * 0.2)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert not (out / "index.json").exists()
        kills += 1
    for folder in (out, tmp_path / "whole"):
        done = command(*flags, f"--out={folder}")
        assert done.returncode == 0, done.stderr
    assert content(out) == content(tmp_path / "whole")
