"""Prepared shards as a data set: single images, and what is said of damaged ones."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from simsiam_tf.augment.policies import POLICIES
from simsiam_tf.config.data import DataConfig
from simsiam_tf.config.preparation import PrepareConfig
from simsiam_tf.data import block_order
from simsiam_tf.data.block_order import BlockOrder
from simsiam_tf.data.dataset import DataSet
from simsiam_tf.data.overview import identity
from simsiam_tf.data.pipeline import pretraining_dataset, views_of, with_views
from simsiam_tf.data.shards import shards_of
from simsiam_tf.distribute.input import Share
from simsiam_tf.errors import UsageError
from simsiam_tf.preparation.prepare import prepare

COUNT, BATCH = 100, 24
POLICY = POLICIES["simsiam"]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """100 images of three classes in nine shards, and a few to evaluate on."""
    path, rng = tmp_path_factory.mktemp("shards"), np.random.default_rng(0)
    for split, count in (("train", COUNT), ("val", 5)):
        for i in range(count):
            folder = path / "photos" / split / f"class{i % 3}"
            folder.mkdir(parents=True, exist_ok=True)
            coarse = rng.integers(0, 256, (4, 5, 3), np.uint8)
            Image.fromarray(coarse).resize((70 + i % 90, 60), Image.Resampling.BICUBIC).save(folder / f"{i}.jpg")
    data = DataSet(DataConfig(dataset="folder", data_dir=str(path / "photos")))
    prepare(data, PrepareConfig(out=str(path / "shards"), shard_images=11))
    return path


@pytest.fixture
def config(made):
    return DataConfig(dataset="shards", data_dir=str(made / "shards"))


@pytest.fixture
def source(config):
    return DataSet(config).training


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(block_order, "_BLOCK", 5)


def order(source, batch=BATCH, seed=3):
    return BlockOrder(source.num_examples, batch, seed, shards=shards_of(source.images))


def indices(order, start, stop, **share):
    """The positions in each batch that a host reads."""
    records = order.records(Share(**{"batch_size": order.global_batch_size, **share}), start, stop)
    return [(int(epoch), index.tolist()) for epoch, index, _ in records.as_numpy_iterator()]


@pytest.mark.parametrize("batch", [24, 7, *(pytest.param(batch, marks=pytest.mark.slow) for batch in (100, 33, 1))])
def test_each_epoch_shows_each_image_once_in_another_order(source, batch):
    steps = order(source, batch).steps_per_epoch
    epochs = {}
    for epoch, index in indices(order(source, batch), 0, 3 * steps):
        epochs.setdefault(epoch, []).extend(index)
    assert [len(index) for index in epochs.values()] == [steps * batch] * 3
    assert all(len(set(index)) == steps * batch and max(index) < COUNT for index in epochs.values())
    assert len({tuple(index) for index in epochs.values()}) == 3
    assert indices(order(source, batch, seed=4), 0, steps) != indices(order(source, batch), 0, steps)


@pytest.mark.parametrize("start", [3, *(pytest.param(start, marks=pytest.mark.slow) for start in (1, 4, 7, 11))])
def test_reading_starts_at_any_step(source, start):
    whole = indices(order(source), 0, 13)
    assert indices(order(source), start, 13) == whole[start:]
    endless = order(source).records(Share(BATCH), start, None)
    assert endless.cardinality() == tf.data.INFINITE_CARDINALITY
    taken = [(int(epoch), index.tolist()) for epoch, index, _ in endless.take(13 - start).as_numpy_iterator()]
    assert taken == whole[start:]


@pytest.mark.parametrize(
    ("hosts", "replicas", "parts"),
    [
        (2, 2, 3),
        *(
            pytest.param(*each, marks=pytest.mark.slow)
            for each in [(1, 2, 1), (2, 1, 1), (2, 2, 1), (1, 1, 4), (3, 1, 1)]
        ),
    ],
)
def test_hosts_and_replicas_share_the_same_batches(source, hosts, replicas, parts):
    whole = indices(order(source), 0, 6)
    every, size = hosts * replicas, BATCH // (hosts * replicas * parts)
    shares = [
        indices(
            order(source), 0, 6, batch_size=size, replicas=replicas, first_replica=host * replicas,
            all_replicas=every, parts=parts,
        )
        for host in range(hosts)
    ]  # fmt: skip
    for step, (epoch, index) in enumerate(whole):
        parts_of_hosts = [share[step * replicas * parts : (step + 1) * replicas * parts] for share in shares]
        assert {e for share in parts_of_hosts for e, _ in share} == {epoch}
        together = [
            position
            for part in range(parts)
            for share in parts_of_hosts
            for _, of_replica in share[part * replicas : (part + 1) * replicas]
            for position in of_replica
        ]
        assert together == index


@pytest.mark.parametrize("shard_images", [1000, 45])
def test_all_images_are_trained_on_in_the_end(made, tmp_path, shard_images):
    """With few shards too: what does not fill a batch is other images in each epoch."""
    data = DataSet(DataConfig(dataset="folder", data_dir=str(made / "photos")))
    prepare(data, PrepareConfig(out=str(tmp_path / "few"), shard_images=shard_images))
    few = DataSet(DataConfig(dataset="shards", data_dir=str(tmp_path / "few"))).training
    shown = {position for _, index in indices(order(few, 64), 0, 12) for position in index}
    assert shown == set(range(COUNT))


def test_images_of_a_block_are_shuffled_and_stay_in_it(source, monkeypatch):
    """A lane is read from its beginning to its end: the images of a block are those that follow in the files."""
    monkeypatch.setattr(BlockOrder, "lanes", 1)
    whole = [position for _, index in indices(order(source, 100), 0, 1) for position in index]
    blocks = np.array(whole).reshape(20, 5)
    follow = [sorted(block) == list(range(min(block), min(block) + 5)) for block in blocks.tolist()]
    assert sum(follow) >= 9  # but for those that span two shards, or the end of the ring
    assert sum(sorted(block) != block for block in blocks.tolist()) >= 15


def test_blocks_of_large_images_are_small(source, monkeypatch):
    monkeypatch.setattr(block_order, "_BLOCK", 256)
    mean = source.images.shards.lengths.mean()
    assert order(source).block == 256
    for images, block in ((3 * 8 * 10.5, 10), (5, 1)):
        monkeypatch.setattr(block_order, "_HELD_BYTES", images * mean)
        assert order(source).block == block
    whole = indices(order(source), 0, 8)
    assert indices(order(source), 5, 8) == whole[5:]


def test_records_positions_and_labels_belong_together(source):
    parse = {"image": tf.io.FixedLenFeature([], tf.string), "label": tf.io.FixedLenFeature([], tf.int64)}
    for _, index, records in order(source).records(Share(BATCH), 0, 4).as_numpy_iterator():
        for position, record in zip(index, records, strict=True):
            example = tf.io.parse_single_example(record, parse)
            assert source.files.load(position) == example["image"].numpy()
            assert source.labels[position] == example["label"].numpy()


@pytest.mark.parametrize("count", [24, 40, 99])
def test_the_first_images_can_be_trained_on_alone(source, count):
    first = source.first(count)
    chosen = BlockOrder(count, 8, 0, shards=shards_of(first.images))
    index = [position for _, batch in indices(chosen, 0, chosen.steps_per_epoch) for position in batch]
    assert len(set(index)) == len(index) == count // 8 * 8
    assert max(index) < count


def batches(source, later=False):
    share = Share(12, replicas=2, all_replicas=2)
    options = {"start_step": 3, "stop_step": 6, "labelled": True, "crops_later": later}
    return pretraining_dataset(source, order(source), POLICY, 48, share, **options)


@pytest.mark.parametrize("later", [False, True], ids=["crops", "canvases"])
def test_shards_are_read_without_python(source, later):
    """TPU slices run the graph of the input on hosts that have no Python."""
    for dataset in (batches(source, later), with_views(batches(source, later), POLICY, 48)):
        graph = tf.raw_ops.DatasetToGraphV2(input_dataset=dataset._variant_tensor).numpy()
        assert b"PyFunc" not in graph


@pytest.mark.slow
@pytest.mark.parametrize("later", [False, True], ids=["crops", "canvases"])
def test_tensorflow_alone_makes_the_views_that_pillow_makes(source, later):
    ours = with_views(batches(source, later), POLICY, 48)
    epochs = [epoch for epoch, _ in indices(order(source), 3, 6, batch_size=12, replicas=2, all_replicas=2)]
    assert set(epochs) == {0, 1}
    for epoch, batch in zip(epochs, ours, strict=True):
        index = batch["index"].numpy()
        np.testing.assert_array_equal(batch["labels"], source.labels[index])
        for one, other in zip(batch["views"], views_of(source, POLICY, 48, 3, epoch, index), strict=True):
            # Pixels differ by a level; a jitter can stretch that to a few.
            assert np.abs(one - other).mean() < 0.02


def test_shards_are_the_same_data_set_wherever_they_are(made, config, tmp_path):
    data = DataSet(config)
    moved = tmp_path / "moved"
    shutil.copytree(made / "shards", moved)
    again = DataSet(dataclasses.replace(config, data_dir=str(moved)))
    assert identity(again) == identity(data)
    assert identity(data)["images"] == COUNT
    assert identity(DataSet(dataclasses.replace(config, exif="ignore"))) == identity(data)  # as ImageNet's recipe says
    assert data.labelled is data.training
    assert data.evaluation.num_examples == 5
    assert data.evaluation.classes == data.training.classes == ("class0", "class1", "class2")


DAMAGES = {
    "no index": (lambda path: (path / "index.json").unlink(), r"a folder of shards with index\.json"),
    "no JSON": (lambda path: (path / "index.json").write_text("{"), "index.json must be one that prepare wrote"),
    "another format": (lambda path: edit(path, format="2"), "not in this version's format"),
    "no splits": (lambda path: edit(path, splits=[]), "splits"),
    "fewer labels": (lambda path: edit_train(path, labels=[0, 1]), "index.json is damaged.*differ in length"),
    "fewer lengths": (lambda path: edit_train(path, lengths=[9]), "index.json is damaged.*differ in length"),
    "no names": (lambda path: edit_train(path, file_names=None), "index.json is damaged"),
    "other splits": (lambda path: edit(path, splits=7), "it has no splits"),
    "a huge number": (lambda path: edit_train(path, lengths=[10**30] * COUNT), "index.json is damaged.*OverflowError"),
    "a label of no class": (lambda path: edit_train(path, labels=[3] * COUNT), "a label is that of no class"),
    "a name of no text": (lambda path: edit_train(path, file_names=[7] * COUNT), "a name is no text"),
    "a name of no file": (lambda path: edit_train(path, file_names=["\ud800"] * COUNT), "index.json is damaged"),
    "other lengths": (lambda path: edit_train(path, lengths=[2**40] * COUNT), "other lengths than their records"),
    "another folder": (lambda path: edit_shard(path, file="../train"), "a shard lies in another folder"),
    "no shard": (lambda path: next(path.glob("train*")).unlink(), r"^A shard cannot be read \(No such file.*train-"),
    "a short shard": (
        lambda path: next(path.glob("train*")).write_bytes(b"x"),
        r"^A shard must have the \d+ bytes.*1 in .*train-",
    ),
}


def edit(folder, **values):
    path = folder / "index.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def edit_train(folder, **values):
    index = json.loads((folder / "index.json").read_text())
    index["splits"]["train"] |= values
    edit(folder, **index)


def edit_shard(folder, **values):
    shards = json.loads((folder / "index.json").read_text())["splits"]["train"]["shards"]
    edit_train(folder, shards=[shards[0] | values, *shards[1:]])


@pytest.mark.parametrize(("damage", "words"), DAMAGES.values(), ids=DAMAGES)
def test_damaged_shards_are_refused_in_one_sentence(made, tmp_path, damage, words):
    folder = tmp_path / "shards"
    shutil.copytree(made / "shards", folder)
    damage(folder)
    with pytest.raises(UsageError, match=words):
        _ = DataSet(DataConfig(dataset="shards", data_dir=str(folder))).training


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"alpha": "white"}, "--alpha is applied when shards are made"),
        ({"value_range": (0.0, 1.0)}, "--value_range is applied"),
        ({"channels": (2, 1, 0)}, "--channels is applied"),
        ({"dataset": "folder", "input": "tensorflow"}, "--input=tensorflow reads shards"),
        ({"train_split": "other"}, "the splits train, test"),
        ({"data_dir": ""}, "needs --data_dir"),
    ],
)
def test_what_shards_cannot_do_is_refused(config, settings, words):
    with pytest.raises(UsageError, match=words):
        _ = DataSet(dataclasses.replace(config, **settings)).training
