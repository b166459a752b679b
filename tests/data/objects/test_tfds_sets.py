"""Images with objects of TensorFlow Datasets, in a small set that the test prepares itself."""

import io

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from simsiam_tf.config.detection_data import DetectionDataConfig
from simsiam_tf.data.objects import tfds_sets
from simsiam_tf.data.objects.opening import open_annotated
from simsiam_tf.data.objects.pipeline import evaluation_batches
from simsiam_tf.data.objects.resize import Recipe
from simsiam_tf.errors import UsageError

# Height, width, and for each object: left, top, right, bottom, class, whether it is marked.
CONTENT = [
    (40, 60, [(10, 5, 30, 15, 2, False), (0, 0, 60, 40, 0, True)]),
    (64, 32, []),
    (30, 30, [(3, 6, 9, 12, 1, False)]),
]


class TinyObjects(tfds.core.GeneratorBasedBuilder):
    """Objects as VOC has them in TFDS."""

    VERSION = tfds.core.Version("1.0.0")
    MARK, IDS = "is_difficult", False

    def _info(self):
        things = {"bbox": tfds.features.BBoxFeature(), "label": tfds.features.ClassLabel(names=["ant", "bee", "cat"])}
        things[self.MARK] = np.bool_
        features = {"image": tfds.features.Image(), "labels": tfds.features.Sequence(np.int64)}
        if self.IDS:
            things |= {"id": np.int64, "area": np.int64}
            features["image/id"] = np.int64
        features["objects"] = tfds.features.Sequence(things)
        return self.dataset_info_from_configs(features=tfds.features.FeaturesDict(features))

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples(), "test": self._generate_examples()}

    def _generate_examples(self):
        for i, (height, width, things) in enumerate(CONTENT):
            file = io.BytesIO()
            Image.new("RGB", (width, height), (i, 0, 0)).save(file, "PNG")
            file.seek(0)
            objects = []
            for number, (left, top, right, bottom, label, mark) in enumerate(things):
                box = tfds.features.BBox(top / height, left / width, bottom / height, right / width)
                objects.append({"bbox": box, "label": label, self.MARK: mark})
                if self.IDS:
                    objects[-1] |= {"id": 1000 + 10 * i + number, "area": 7}
            example = {"image": file, "labels": [1], "objects": objects}
            yield i, example | ({"image/id": 50 + i} if self.IDS else {})


class TinyCrowds(TinyObjects):
    """Objects as COCO has them in TFDS."""

    MARK, IDS = "is_crowd", True


class TinyPlain(tfds.core.GeneratorBasedBuilder):
    """Images without objects."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        return self.dataset_info_from_configs(features=tfds.features.FeaturesDict({"image": tfds.features.Image()}))

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples()}

    def _generate_examples(self):
        yield 0, {"image": np.zeros((8, 8, 3), np.uint8)}


@pytest.fixture(scope="module", params=["tfrecord", "array_record"])
def data_dir(request, tmp_path_factory):
    path = tmp_path_factory.mktemp(request.param)
    for builder in (TinyObjects, TinyCrowds, TinyPlain):
        builder(data_dir=path, file_format=request.param).download_and_prepare()
    return str(path)


def opened(data_dir, name, part="train", **settings):
    return open_annotated(DetectionDataConfig(dataset=f"tfds:{name}", data_dir=data_dir, **settings), part)


def by_image(annotated):
    """The objects of each image by its number in the set, which TFDS shuffles."""
    (batch,) = evaluation_batches(annotated, Recipe((64,), 128, 64), 3).as_numpy_iterator()
    numbers = batch["images"][:, 0, 0, 0].tolist()
    assert sorted(numbers) == [0, 1, 2]
    return dict(zip(numbers, annotated.objects, strict=True))


def test_boxes_belong_to_their_images(data_dir):
    annotated = opened(data_dir, "tiny_objects", eval_split="test")
    assert annotated.classes == ("ant", "bee", "cat")
    assert not annotated.has_masks
    found = by_image(annotated)
    for number, (height, width, things) in enumerate(CONTENT):
        objects = found[number]
        assert objects.size == (height, width)
        expected = np.array([thing[:4] for thing in things]).reshape(-1, 4)
        np.testing.assert_allclose(objects.boxes, expected, atol=1e-4)
        assert objects.classes.tolist() == [thing[4] for thing in things]
        assert objects.difficult.tolist() == [thing[5] for thing in things]
        assert not objects.crowd.any()
        np.testing.assert_allclose(objects.areas, (expected[:, 2:] - expected[:, :2]).prod(axis=1), rtol=1e-4)
    assert len(annotated.to_train()) == 2
    assert annotated.max_objects == 2


def test_crowds_numbers_and_areas_are_those_of_the_set(data_dir):
    found = by_image(opened(data_dir, "tiny_crowds"))
    assert found[0].crowd.tolist() == [False, True]
    assert found[0].ids.tolist() == [1000, 1001]
    assert found[0].areas.tolist() == [7, 7]
    assert not found[0].difficult.any()
    assert [found[i].image_id for i in range(3)] == [50, 51, 52]


def test_a_later_start_reads_the_index_alone(data_dir, monkeypatch):
    first = opened(data_dir, "tiny_crowds")
    monkeypatch.setattr(tfds_sets._Reader, "_read", None)
    again = opened(data_dir, "tiny_crowds")
    assert again.fingerprint == first.fingerprint
    with pytest.raises(TypeError):
        opened(data_dir, "tiny_crowds", exif="ignore")


def test_pixels_of_voc_are_counted_from_1(data_dir, monkeypatch, tmp_path):
    monkeypatch.setattr(tfds_sets, "_COUNTED_FROM_1", {"tiny_objects"})
    found = by_image(opened(data_dir, "tiny_objects", index_dir=str(tmp_path)))
    np.testing.assert_allclose(found[0].boxes[0], [9, 4, 30, 15], atol=1e-4)
    assert "voc" in DetectionDataConfig(dataset="tfds:voc/2007").images.dataset


def test_a_set_without_objects_is_refused(data_dir):
    with pytest.raises(UsageError, match=r"must have a sequence objects with bbox and label\. Received: tfds:tiny_pla"):
        opened(data_dir, "tiny_plain")
    with pytest.raises(UsageError, match="has the splits train, test"):
        opened(data_dir, "tiny_objects", train_split="dev")
