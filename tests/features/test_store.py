import dataclasses
import errno
import json
import os
import zlib

import numpy as np
import pytest
import tensorflow as tf

from simsiam_tf import resnet18
from simsiam_tf.data.image_files import FolderImages
from simsiam_tf.data.sources import Source, memory_source
from simsiam_tf.data.unreadable import UnreadableImages
from simsiam_tf.errors import UsageError
from simsiam_tf.features import store as module
from simsiam_tf.features.embed import Features, embed_source
from simsiam_tf.features.store import FeatureStore


@pytest.fixture
def source(rng):
    images = rng.integers(0, 256, (50, 16, 16, 3), np.uint8)
    return memory_source("made/train", images, np.arange(50) % 3, 3)


@pytest.fixture
def backbone():
    return resnet18(cifar_stem=True, width=0.0625)


@pytest.fixture
def store(tmp_path, backbone):
    return FeatureStore(tmp_path / "features", backbone, {"recipe": "r", "checkpoint": "step-1"}, 16, batch_size=8)


def only_folder(store):
    (folder,) = store.root.iterdir()
    return folder


def test_stored_features_are_those_embedded_in_memory(store, source, backbone, monkeypatch):
    monkeypatch.setattr(module, "_SHARD_BYTES", 32 * 4 * 20)  # 20 rows of a width of 32
    stored, embedded = store.features_of(source), embed_source(backbone, source, 16, 8)
    np.testing.assert_array_equal(stored.loaded(), embedded.loaded())
    np.testing.assert_array_equal(stored.labels, source.labels)
    assert [len(part) for part in stored.parts] == [20, 20, 10]
    rows = np.array([49, 0, 20, 19, 21])
    np.testing.assert_array_equal(stored.take(rows), embedded.loaded()[rows])
    assert [(first, len(part)) for first, part in stored.chunks(15)] == [(0, 15), (15, 5), (20, 15), (35, 5), (40, 10)]


def test_the_manifest_says_what_they_are_of_and_they_are_embedded_once(store, source, monkeypatch):
    store.features_of(source)
    manifest = json.loads((only_folder(store) / "manifest.json").read_text())
    assert {"weights_sha256", "recipe", "checkpoint", "images", "augmentation", "image_size", "dtype"} <= set(manifest)
    assert (manifest["rows"], manifest["dtype"], manifest["source"]) == (50, "float32", "made/train")
    monkeypatch.setattr(module, "feature_batches", lambda *args: pytest.fail("embedded again"))
    assert len(store.features_of(source)) == 50


@pytest.mark.parametrize("changed", ["weights", "images", "first images"])
def test_features_of_something_else_are_not_taken(store, source, backbone, changed, rng):
    before = store.features_of(source).loaded()
    if changed == "weights":
        backbone.variables[0].assign(tf.zeros_like(backbone.variables[0]))
    elif changed == "images":
        source = memory_source(source.name, rng.integers(0, 256, (50, 16, 16, 3), np.uint8), source.labels, 3)
    else:
        source = source.first(20)
    after = dataclasses.replace(store).features_of(source)  # another process' store, which looks at the weights anew
    assert len(list(store.root.iterdir())) == 2
    assert len(after) != len(before) or not np.allclose(after.loaded(), before)


def test_an_interrupted_extraction_goes_on_where_it_stopped(store, source, monkeypatch):
    monkeypatch.setattr(module, "_SHARD_BYTES", 32 * 4 * 20)
    whole = store.features_of(source).loaded()
    folder = only_folder(store)
    (folder / "manifest.json").unlink()
    (folder / "index-00002.npy").unlink()
    starts = []
    dataset = module.evaluation_dataset
    monkeypatch.setattr(
        module, "evaluation_dataset", lambda *a, start: starts.append(start) or dataset(*a, start=start)
    )
    np.testing.assert_array_equal(store.features_of(source).loaded(), whole)
    assert starts == [40]


def zero_bytes(path, count):
    content = bytearray(path.read_bytes())
    content[-count:] = bytes(count)
    path.write_bytes(content)


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: zero_bytes(folder / "features-00001.npy", 2000),
        lambda folder: zero_bytes(folder / "index-00001.npy", 40),
        lambda folder: (folder / "features-00001.npy").write_bytes(b""),
        lambda folder: (folder / "index-00002.npy").unlink(),
        lambda folder: (folder / "checksums.json").unlink(),  # as stored before there were checksums
        lambda folder: (folder / "checksums.json").write_text("[]"),
        lambda folder: (folder / "manifest.json").write_text("{"),
    ],
    ids=["features", "index", "empty", "missing", "no checksums", "other checksums", "manifest"],
)
def test_damaged_features_are_embedded_anew(store, source, monkeypatch, damage):
    monkeypatch.setattr(module, "_SHARD_BYTES", 32 * 4 * 20)
    before = store.features_of(source).loaded()
    damage(only_folder(store))
    after = store.features_of(source)
    np.testing.assert_allclose(after.loaded(), before, atol=1e-6)  # in batches of other images
    np.testing.assert_array_equal(after.index, np.arange(50))
    monkeypatch.setattr(module, "feature_batches", lambda *args: pytest.fail("embedded again"))
    store.features_of(source)


def empty_set(folder):
    """A manifest and checksums that agree on no shards at all."""
    for name, key in (("manifest.json", "num_shards"), ("checksums.json", "shards")):
        content = json.loads((folder / name).read_text())
        (folder / name).write_text(json.dumps({**content, key: 0 if key == "num_shards" else []}))


def other_numbers(folder):
    """Shards of other kinds, with checksums that fit them."""
    np.save(folder / "features-00001.npy", np.zeros([20, 5], np.float64))
    np.save(folder / "index-00001.npy", np.arange(20)[::-1])
    checksums = json.loads((folder / "checksums.json").read_text())
    checksums["shards"][1] = [zlib.crc32((folder / f"{name}-00001.npy").read_bytes()) for name in ("features", "index")]
    (folder / "checksums.json").write_text(json.dumps(checksums))


def replaced_by_a_folder(name):
    def damage(folder):
        (folder / name).unlink()
        (folder / name).mkdir()

    return damage


DAMAGES = [
    empty_set,
    other_numbers,
    lambda folder: (folder / "manifest.json").write_bytes(b"\xff\xfe"),
    lambda folder: (folder / "checksums.json").write_text("[" * 100_000),
    *map(replaced_by_a_folder, ("manifest.json", "checksums.json", "features-00001.npy", "index-00002.npy")),
]


def test_what_is_no_feature_is_made_anew_and_folders_are_set_aside(store, source, monkeypatch):
    monkeypatch.setattr(module, "_SHARD_BYTES", 32 * 4 * 20)
    before = store.features_of(source).loaded()
    folder = only_folder(store)
    for number, damage in enumerate(DAMAGES):
        damage(folder)
        np.testing.assert_allclose(store.features_of(source).loaded(), before, atol=1e-6, err_msg=str(number))
        with monkeypatch.context() as patch:
            patch.setattr(module, "feature_batches", lambda *args: pytest.fail("embedded again"))
            store.features_of(source)
    assert sorted(path.name for path in folder.iterdir() if path.is_dir()) == [
        f"{name}.damaged" for name in ("checksums.json", "features-00001.npy", "index-00002.npy", "manifest.json")
    ]


def test_a_file_in_the_place_of_the_features_is_set_aside(store, source):
    store.root.write_text("mine")
    assert len(store.features_of(source)) == 50
    assert store.root.with_name("features.damaged").read_text() == "mine"


def test_a_disk_that_fills_while_features_are_stored_leaves_no_draft(store, source, monkeypatch):
    def full(file, array):
        file.write(b"a part")
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(np, "save", full)
        with pytest.raises(OSError, match=r"No space left on device: '.*features-00000\.npy'"):
            store.features_of(source)
    assert list(only_folder(store).iterdir()) == []
    assert len(store.features_of(source)) == 50


@pytest.mark.parametrize("wrong", [None, "long"])
def test_features_of_unknown_duration_are_embedded_anew(store, source, console, capsys, wrong):
    store.features_of(source)
    path = only_folder(store) / "manifest.json"
    manifest = json.loads(path.read_text())
    path.write_text(json.dumps({**manifest, "seconds": wrong} if wrong else {"num_shards": manifest["num_shards"]}))
    store.features_of(source)
    assert "are damaged or have no checksums; embedding these images again" in capsys.readouterr().err
    assert store.seconds(source) > 0  # of all images, not of none


def test_features_that_are_not_finite_are_refused(store, source, backbone):
    backbone.variables[0].assign(np.full(backbone.variables[0].shape, np.nan))
    with pytest.raises(FloatingPointError, match="feature is not a finite number"):
        embed_source(backbone, source, 16, 8)
    with pytest.raises(FloatingPointError, match="feature is not a finite number"):
        store.features_of(source)


def test_unreadable_images_are_missing_from_index_and_labels(store, source, monkeypatch, tmp_path):
    monkeypatch.setattr(module, "_SHARD_BYTES", 32 * 4 * 5)
    bad = {7, *range(20, 27)}  # one shard has none left
    paths = [tmp_path / f"{i}.png" for i in range(50)]
    for i, path in enumerate(paths):
        path.write_bytes(b"no image" if i in bad else tf.io.encode_png(source.images[i]).numpy())

    def opened(max_fraction):
        files = FolderImages(tmp_path, paths, UnreadableImages("made", max_fraction))
        return Source("made/train", 50, source.labels, 3, files)

    found = store.features_of(opened(0.5))
    kept = [i for i in range(50) if i not in bad]
    assert found.index.tolist() == kept
    np.testing.assert_array_equal(found.labels, source.labels[kept])
    whole = embed_source(store.backbone, source, 16, 8).loaded()
    np.testing.assert_allclose(found.loaded(), whole[kept], atol=1e-5)
    # Features from disk are as strict about unreadable images as reading them is.
    again = opened(0.5)
    store.features_of(again)
    assert again.num_readable == len(kept)
    with pytest.raises(UsageError, match=r"At most 10.00% of the 50 images"):
        store.features_of(opened(0.1))


def test_replicas_share_the_work_and_the_last_batch_may_be_short(source, two_replicas):
    with two_replicas.scope():
        backbone = resnet18(cifar_stem=True, width=0.0625)
    both = embed_source(backbone, source, 16, 8, strategy=two_replicas)  # 7 batches, the last of 2
    alone = embed_source(backbone, source, 16, 8)
    np.testing.assert_array_equal(both.index, np.arange(50))
    np.testing.assert_allclose(both.loaded(), alone.loaded(), atol=1e-6)


def test_labels_must_be_there_to_be_asked_for(rng):
    with pytest.raises(ValueError, match="without labels"):
        _ = Features.from_array(rng.standard_normal((3, 2))).known_labels


@pytest.mark.parametrize("name", ["checksums.json", "manifest.json"])
def test_a_pipe_or_a_device_in_the_place_of_a_file_is_never_waited_for(store, source, name):
    before = store.features_of(source).loaded()
    path = only_folder(store) / name
    path.unlink()
    if name == "manifest.json":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")
    np.testing.assert_allclose(store.features_of(source).loaded(), before, atol=1e-6)
    assert path.is_file()
