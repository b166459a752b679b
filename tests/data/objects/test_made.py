import hashlib

import numpy as np
import pytest

from simsiam_tf.config.data import DataConfig
from simsiam_tf.config.detection_data import DetectionDataConfig
from simsiam_tf.data.dataset import DataSet
from simsiam_tf.data.objects.opening import open_annotated
from simsiam_tf.data.objects.resize import full_masks
from simsiam_tf.data.scenes import CLASS_NAMES, MOST_OBJECTS, make_scenes
from simsiam_tf.data.sources import open_source
from simsiam_tf.errors import UsageError


@pytest.fixture(scope="module")
def annotated():
    return open_annotated(DetectionDataConfig(dataset="made"), "eval")


def test_the_images_are_the_same_everywhere():
    scenes = make_scenes("test")
    assert scenes.images.shape == (500, 128, 128, 3)
    assert not scenes.images.flags.writeable
    counts = np.bincount((scenes.classes >= 0).sum(axis=1))
    assert counts[0] == 0 and len(counts) == MOST_OBJECTS + 1 and counts[1:].min() > 80
    assert np.bincount(scenes.classes[scenes.classes >= 0]).min() > 300
    assert hashlib.sha256(scenes.images.tobytes()).hexdigest()[:16] == "614ab0b2fa5c73cd"


def test_boxes_are_those_of_the_pixels_that_are_seen(annotated):
    owners = make_scenes("test").owners
    for i in range(60):
        objects = annotated.objects[i]
        masks = full_masks(objects)
        np.testing.assert_array_equal(masks, owners[i] == np.arange(1, len(objects) + 1)[:, None, None])
        for mask, box, area in zip(masks, objects.boxes, objects.areas, strict=True):
            left, top, right, bottom = box.astype(int)
            assert mask[top:bottom, left:right].sum() == mask.sum() == area
            assert mask[top].any() and mask[bottom - 1].any() and mask[:, left].any() and mask[:, right - 1].any()


def test_objects_have_all_sizes_and_are_seen_in_large_part(annotated):
    boxes = np.concatenate([objects.boxes for objects in annotated.objects])
    sides = (boxes[:, 2:] - boxes[:, :2]).max(axis=1)
    assert 15 < sides.min() < 28 and 55 < sides.max() < 80
    assert np.concatenate([objects.areas for objects in annotated.objects]).min() > 90
    overlaps = sum(_meet(objects.boxes) for objects in annotated.objects)
    assert overlaps > 100


def _meet(boxes):
    low, high = np.maximum(boxes[:, None, :2], boxes[None, :, :2]), np.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    return bool((np.triu((high > low).all(axis=-1), 1)).any())


def test_colours_do_not_tell_the_class(annotated):
    scenes = make_scenes("test")
    colours, classes = [], []
    for image, owners, kinds in zip(scenes.images, scenes.owners, scenes.classes, strict=True):
        for number, kind in enumerate(kinds[kinds >= 0]):
            colours.append(image[owners == number + 1].mean(axis=0))
            classes.append(kind)
    means = np.array([np.mean(np.array(colours)[np.array(classes) == kind], axis=0) for kind in range(3)])
    assert np.abs(means - means.mean(axis=0)).max() < 12  # of 255, where one colour differs by 70 from the next


def test_pre_training_reads_the_same_images_without_labels(annotated):
    data = DataSet(DataConfig(dataset="made", train_split="test"))
    assert data.training.labels is None
    assert data.lacks == "no labels"
    assert data.name == "made/test:500"
    np.testing.assert_array_equal(data.training.images, make_scenes("test").images)
    assert data.training.fingerprint == annotated.source.fingerprint
    assert data.evaluation.name == "made/test"
    with pytest.raises(UsageError, match=r"The data set made has the splits train, test\. Received: 'dev'"):
        open_source(DataConfig(dataset="made"), "dev")
    assert annotated.classes == CLASS_NAMES
