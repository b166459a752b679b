"""TensorFlow Datasets on a small set that the test prepares itself."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from simsiam_tf.config.data import DataConfig
from simsiam_tf.data import decoding, records, sources

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
