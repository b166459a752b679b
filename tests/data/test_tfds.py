"""TensorFlow Datasets on a small set that the test prepares itself."""

import dataclasses
import shutil

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from simsiam_tf.config.data import DataConfig
from simsiam_tf.data import decoding, index, records, sources, tfds_index
from simsiam_tf.data.dataset import DataSet
from simsiam_tf.errors import UsageError

COUNT = 23


class TinyImages(tfds.core.GeneratorBasedBuilder):
    """Images whose first pixel is their number, and whose label is its remainder by 3."""

    VERSION = tfds.core.Version("1.0.0")
    SIZE: tuple = (8, 8, 3)

    def _info(self):
        features = {"image": tfds.features.Image(shape=self.SIZE), "label": tfds.features.ClassLabel(num_classes=3)}
        return self.dataset_info_from_configs(features=tfds.features.FeaturesDict(features))

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples(False), "test": self._generate_examples(True)}

    def _generate_examples(self, unlabelled):
        for i in range(COUNT):
            side = 8 if self.SIZE[0] else 8 + i
            image = np.full((side, 8, 3), i, np.uint8)
            yield i, {"image": image, "label": -1 if unlabelled else i % 3}


class TinyUnevenImages(TinyImages):
    """The same in different sizes, so that they are read one by one."""

    SIZE = (None, None, 3)


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    path = tmp_path_factory.mktemp("tfds")
    for builder in (TinyImages, TinyUnevenImages):
        builder(data_dir=path, file_format="tfrecord").download_and_prepare()
    return str(path)


@pytest.mark.parametrize("split", ["train", "train[5:]", "train[20%:60%]"])
@pytest.mark.parametrize("name", ["tiny_images", "tiny_uneven_images"])
def test_images_and_labels_belong_together(data_dir, name, split):
    source = sources.open_source(DataConfig(dataset=name, data_dir=data_dir), split)
    in_memory = source.files is None
    assert in_memory == (name == "tiny_images")
    assert source.num_classes == 3
    assert len(source.labels) == source.num_examples
    for i in range(source.num_examples):
        image = source.images[i] if in_memory else np.asarray(decoding.open_image(source.files.load(i)))
        assert int(image[0, 0, 0]) % 3 == source.labels[i]


@pytest.mark.parametrize("name", ["tiny_images", "tiny_uneven_images"])
def test_negative_labels_are_none(data_dir, name):
    assert sources.open_source(DataConfig(dataset=name, data_dir=data_dir), "test").labels is None


def test_records_are_found_by_their_headers(tmp_path):
    contents = [b"a", b"bcd", b"", b"x" * 1000]
    path = str(tmp_path / "file")
    with tf.io.TFRecordWriter(path) as writer:
        for record in contents:
            writer.write(record)
    data = (tmp_path / "file").read_bytes()
    assert [data[offset : offset + length] for offset, length in records.record_positions(path)] == contents


def test_some_features_of_a_record_are_read_without_the_others(rng):
    def feature(value):
        if isinstance(value, bytes):
            return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
        if isinstance(value, float):
            return tf.train.Feature(float_list=tf.train.FloatList(value=[value]))
        return tf.train.Feature(int64_list=tf.train.Int64List(value=value))

    values = {
        "image": rng.bytes(70_000),
        "label": [7],
        "style/name": "größe".encode(),
        "least": [-(2**63)],
        "long": [2**63 - 1, 5],
        "none": [],
        "score": 0.5,
    }
    example = tf.train.Example(features=tf.train.Features(feature={k: feature(v) for k, v in values.items()}))
    content = b"before" + example.SerializeToString() + b"after"
    wanted = {name.encode(): name for name in (*values, "missing")}
    found = records.example_features(content, 6, len(content) - 5, wanted)
    expected = {k: v[0] if isinstance(v, list) and v else v for k, v in values.items()}
    assert found == {**expected, "none": None, "score": None}
    with pytest.raises(ValueError, match=r"no tf\.train\.Example"):
        records.example_features(b"\x08\x01", 0, 2, wanted)


def test_a_later_start_reads_the_index_alone(data_dir, monkeypatch):
    config = DataConfig(dataset="tiny_uneven_images", data_dir=str(data_dir))
    first = sources.open_source(config, "train")
    monkeypatch.setattr(tfds_index, "scan", None)
    again = sources.open_source(config, "train")
    np.testing.assert_array_equal(again.labels, first.labels)
    assert [again.files.load(i) for i in range(5)] == [first.files.load(i) for i in range(5)]
    monkeypatch.setattr(index, "_rebuilt", set())  # as in another process
    with pytest.raises(TypeError):
        sources.open_source(dataclasses.replace(config, index="rebuild"), "train")


@pytest.mark.parametrize("name", ["tiny_images", "tiny_uneven_images"])
def test_a_set_in_a_bucket_is_that_of_this_machine(data_dir, gcs, name, tmp_path):
    copy = shutil.copytree(data_dir, tmp_path / "tfds", ignore=shutil.ignore_patterns(f"{index.PREFIX}*"))
    gcs.upload(copy, "tfds")
    here = sources.open_source(DataConfig(dataset=name, data_dir=data_dir), "train[3:]")
    there = sources.open_source(DataConfig(dataset=name, data_dir=f"{gcs.address}/tfds"), "train[3:]")
    np.testing.assert_array_equal(there.labels, here.labels)
    assert [pixel(there, i) for i in range(20)] == [pixel(here, i) for i in range(20)]
    assert there.fingerprint == here.fingerprint
    kept = [file for file in gcs.names(f"tfds/{name}/1.0.0/") if file.startswith(index.PREFIX)]
    assert len(kept) == (name == "tiny_uneven_images")  # the index lies beside the data
    again = sources.open_source(DataConfig(dataset=name, data_dir=f"{gcs.address}/tfds"), "train[3:]")
    assert pixel(again, 7) == pixel(here, 7)


class OddImages(tfds.core.GeneratorBasedBuilder):
    """Two images of an example in a folder of features, with labels of many kinds."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        image = tfds.features.Image(shape=(8, 8, 3))
        features = {
            "pair": {"left": image, "right": image},
            "depth": tfds.features.Tensor(shape=(8, 8, 1), dtype=np.float32),
            "deep": tfds.features.Image(shape=(8, 8, 1), dtype=np.uint16),
            "label": tfds.features.Sequence(tfds.features.ClassLabel(num_classes=3)),
            "year": np.int64,
            "place": tfds.features.Text(),
        }
        return self.dataset_info_from_configs(features=tfds.features.FeaturesDict(features))

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples([1990, 2010, 2000]), "test": self._generate_examples([2000, 2010])}

    def _generate_examples(self, years):
        for i in range(12):
            yield (
                i,
                {
                    "pair": {"left": np.full((8, 8, 3), i, np.uint8), "right": np.full((8, 8, 3), 100 + i, np.uint8)},
                    "depth": np.full((8, 8, 1), i / 11, np.float32),
                    "deep": np.full((8, 8, 1), 257 * i, np.uint16),
                    "label": [0, 2],
                    "year": years[i % len(years)],
                    "place": "xyz"[i % 3],
                },
            )


@pytest.fixture(scope="module", params=["tfrecord", "array_record"])
def odd(request, tmp_path_factory):
    path = tmp_path_factory.mktemp(request.param)
    OddImages(data_dir=path, file_format=request.param).download_and_prepare()
    return lambda **settings: DataSet(DataConfig(dataset="odd_images", data_dir=str(path), **settings))


def pixel(source, position=5):
    if source.files is None:
        return source.images[position].numpy()[0, 0].tolist()
    return np.asarray(decoding.open_image(source.files.load(position)))[0, 0].tolist()


def test_features_are_chosen_by_their_paths(odd):
    left, right = (pixel(odd(image_feature=f"pair/{side}").training) for side in ("left", "right"))
    assert [100 + value for value in left] == right
    with pytest.raises(UsageError, match="no feature 'image'; name one by --image_feature"):
        _ = odd().training
    with pytest.raises(UsageError, match=r"--image_feature must be a feature that is an image.*pair/left"):
        _ = odd(image_feature="year").training
    with pytest.raises(UsageError, match="--label_feature must be a feature of odd_images"):
        _ = odd(image_feature="pair/left", label_feature="nothing").training


@pytest.mark.parametrize(("label", "classes"), [("year", ("1990", "2000", "2010")), ("place", ("x", "y", "z"))])
def test_labels_without_names_are_classes_by_their_values(odd, label, classes):
    data = odd(image_feature="pair/left", label_feature=label)
    assert data.training.classes == data.evaluation.classes == classes
    if label == "year":  # the test split has a subset of them
        assert set(data.evaluation.labels) == {1, 2}


def test_lists_of_labels_are_no_labels(odd):
    data = odd(image_feature="pair/left")
    assert data.training.labels is None
    assert data.lacks == "no labels"


def test_values_of_other_types_are_converted_or_asked_for(odd):
    with pytest.raises(UsageError, match="--value_range"):
        pixel(odd(image_feature="depth").training)
    source = odd(image_feature="depth", value_range=(0.0, 1.0)).training
    assert sorted(pixel(source, i)[0] for i in range(12)) == [round(i / 11 * 255) for i in range(12)]
    deep = odd(image_feature="deep", value_range=(0.0, 65535.0)).training
    assert sorted(pixel(deep, i)[0] for i in range(12)) == list(range(12))


def test_images_of_12_bits_in_16_are_asked_for(odd, monkeypatch):
    with pytest.raises(UsageError, match=r"--value_range=0,4095.*values of 0 to 2827, in odd_images/train"):
        _ = odd(image_feature="deep").training
    levels = [round(257 * i / 4095 * 255) for i in range(12)]
    monkeypatch.setattr(sources, "_MEMORY_LIMIT", 0)  # record by record
    with pytest.raises(UsageError, match=r"--value_range=0,4095.*values of 0 to 2827, in odd_images/train"):
        _ = odd(image_feature="deep").training
    source = odd(image_feature="deep", value_range=(0.0, 4095.0)).training
    assert sorted(pixel(source, i)[0] for i in range(12)) == levels


def test_an_empty_slice_is_refused(odd):
    with pytest.raises(UsageError, match=r"must hold images. Received: 'train\[:0\]'"):
        _ = odd(image_feature="pair/left", train_split="train[:0]").training
