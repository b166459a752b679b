import dataclasses
import hashlib
import zlib

import numpy as np
import pytest
import tensorflow as tf

from simsiam_tf.config.data import DataConfig
from simsiam_tf.data.dataset import open_eval_source
from simsiam_tf.data.decoding import open_image
from simsiam_tf.data.shapes import CLASS_NAMES, make_shapes
from simsiam_tf.data.sources import open_source
from simsiam_tf.errors import UsageError


def write_images(folder, names, rng):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        image = rng.integers(0, 256, (20, 30, 3), np.uint8)
        encode = tf.io.encode_png if name.endswith("png") else tf.io.encode_jpeg
        path.write_bytes(encode(image).numpy())


def folder(path):
    return DataConfig(dataset="folder", data_dir=str(path))


def test_class_folders_are_labels(tmp_path, rng):
    write_images(tmp_path / "train", ["cat/1.jpg", "cat/deep/2.JPG", "dog/3.png"], rng)
    write_images(tmp_path / "val", ["cat/4.jpg", "dog/5.jpeg"], rng)
    train, val = open_source(folder(tmp_path), "train"), open_eval_source(folder(tmp_path))
    np.testing.assert_array_equal(sorted(train.labels), [0, 0, 1])
    np.testing.assert_array_equal(sorted(val.labels), [0, 1])
    assert train.num_classes == 2
    assert all(open_image(train.files.load(i)).size == (30, 20) for i in range(3))


@pytest.mark.parametrize("names", [["1.jpg", "2.png"], ["a/1.jpg", "2.png"], ["a/1.jpg", "a/2.jpg"]])
def test_a_folder_without_classes_has_no_labels(tmp_path, rng, names):
    write_images(tmp_path, names, rng)
    (tmp_path / "notes.txt").write_text("no image")
    source = open_source(folder(tmp_path), "train")
    assert source.labels is None
    assert source.num_examples == 2
    assert open_eval_source(folder(tmp_path)) is None


@pytest.mark.parametrize(
    ("config", "split", "message"),
    [
        (DataConfig(dataset="folders"), "train", "; did you mean folder. Received: 'folders'"),
        (DataConfig(dataset="nosuch"), "train", "must be a name in TensorFlow Datasets.* Received: 'nosuch'"),
        (DataConfig(dataset="shapes"), "dev", "has the splits train, test. Received: 'dev'"),
        (DataConfig(dataset="folder", data_dir="/nowhere"), "train", "must be an existing folder.*/nowhere"),
        (DataConfig(dataset="cifar10", data_dir="/nowhere"), "train", "must be an existing directory.*/nowhere"),
    ],
)
def test_a_missing_data_set_is_said(config, split, message):
    with pytest.raises(UsageError, match=message):
        open_source(config, split)


def test_an_unprepared_data_set_is_not_fetched_unasked(tmp_path):
    with pytest.raises(UsageError, match=r"cifar10 is not in .*; add --download"):
        open_source(DataConfig(dataset="cifar10", data_dir=str(tmp_path)), "train")


def test_an_empty_folder_names_the_extensions(tmp_path):
    with pytest.raises(UsageError, match=r"no image in .*\.jpg, \.jpeg, \.png"):
        open_source(folder(tmp_path), "train")


def test_shapes_are_the_same_everywhere():
    images, labels = make_shapes("test")
    assert images.shape == (1000, 32, 32, 3)
    np.testing.assert_array_equal(np.bincount(labels), [100] * len(CLASS_NAMES))
    assert hashlib.sha256(images.tobytes()).hexdigest()[:16] == "e8860d0003ad8cdb"
    assert not np.array_equal(images[:500], make_shapes("train")[0][:500])
    assert not images.flags.writeable  # all callers share them
    assert not labels.flags.writeable


def test_every_split_is_numbered_by_the_training_set_s_classes(tmp_path, rng):
    write_images(tmp_path / "train", ["ant/1.jpg", "bee/2.jpg", "cat/3.jpg"], rng)
    write_images(tmp_path / "val", ["bee/4.jpg", "cat/5.jpg"], rng)
    val = open_eval_source(folder(tmp_path))
    assert sorted(val.labels) == [1, 2]
    assert val.num_classes == 3
    write_images(tmp_path / "val", ["dog/6.jpg"], rng)
    with pytest.raises(UsageError, match=r"class folders that .* has not. Received: dog"):
        open_eval_source(folder(tmp_path))


def test_the_first_few_of_a_folder_are_of_all_classes(tmp_path, rng):
    write_images(tmp_path, [f"{name}/{i}.png" for name in "abcd" for i in range(20)], rng)
    assert len(set(open_source(folder(tmp_path), "train").labels[:20])) == 4


def test_fingerprints_stay_as_stored_features_have_them(tmp_path, rng):
    write_images(tmp_path, [f"{i}.png" for i in range(4)], rng)
    source = open_source(dataclasses.replace(folder(tmp_path), exif="ignore"), "train")
    state = "".join(
        f"{path}\0{path.stat().st_size}\0{path.stat().st_mtime_ns}\n"
        for path in (tmp_path / source.name_of(i) for i in range(4))
    )
    files = hashlib.sha256(state.encode()).hexdigest()[:16]
    positions = np.array([2, 0])
    part = zlib.crc32(positions.tobytes())
    assert source.fingerprint == f"{tmp_path}:4:{files}"
    assert source.first(3).fingerprint == f"{tmp_path}:3:{files}"
    assert source.first(3).subset(positions).fingerprint == f"{tmp_path}:2:{files}:{part}"
    assert source.subset(positions).first(1).fingerprint == f"{tmp_path}:1:{files}:{part}"
    # Where the pixels mean something else, stored features are others'.
    for other in ({"exif": "upright"}, {"alpha": "white"}, {"channels": (0,)}, {"value_range": (0.0, 1.0)}):
        config = dataclasses.replace(folder(tmp_path), **{"exif": "ignore", **other})
        assert open_source(config, "train").fingerprint != source.fingerprint
    again = zlib.crc32(np.array([1]).tobytes())
    assert source.subset(positions).subset(np.array([1])).fingerprint == f"{tmp_path}:1:{files}:{part}:{again}"


def test_a_balanced_part_hangs_on_names_alone(tmp_path, rng):
    write_images(tmp_path, [f"{c}/{i}.jpg" for c, n in (("a", 30), ("b", 12), ("c", 2)) for i in range(n)], rng)
    source = open_source(folder(tmp_path), "train")
    part = source.balanced(15)
    assert np.bincount(part.labels).tolist() == [5, 5, 2]
    chosen = {part.name_of(i) for i in range(part.num_examples)}
    other_order = source.subset(rng.permutation(source.num_examples)).balanced(15)
    assert {other_order.name_of(i) for i in range(other_order.num_examples)} == chosen
    positions = [int(np.flatnonzero([source.name_of(j) == part.name_of(i) for j in range(44)])[0]) for i in range(12)]
    assert positions == sorted(positions)
    assert source.labels[positions].tolist() == part.labels.tolist()
    assert source.balanced(44) is source and source.balanced(50_000) is source
    unlabelled = dataclasses.replace(source, labels=None, num_classes=0)
    assert unlabelled.balanced(15).num_examples == 15
