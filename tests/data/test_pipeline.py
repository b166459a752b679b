import numpy as np
import pytest
import tensorflow as tf

from simsiam_tf.augment.policies import POLICIES
from simsiam_tf.config import DataConfig, UsageError
from simsiam_tf.data.pipeline import Order, evaluation_dataset, pretraining_dataset
from simsiam_tf.data.sources import Source, memory_source, open_source

POLICY = POLICIES["simsiam"]


@pytest.fixture
def source(rng):
    images = rng.integers(0, 256, (50, 12, 16, 3), np.uint8)
    return memory_source("made", images, np.arange(50) % 3, 3)


def one_by_one(source: Source) -> Source:
    """The same images, read as a folder's are: singly, of unknown size."""
    return Source(source.name, source.num_examples, source.labels, 3, lambda i: source.read(i[tf.newaxis])[0])


def batches(source, order, start=0, stop=None, batch=8):
    dataset = pretraining_dataset(source, order, POLICY, 10, batch, start, stop)
    return [tf.nest.map_structure(lambda x: x.numpy(), element) for element in dataset]


def test_each_epoch_shows_each_example_once_in_another_order(source):
    order = Order(48, 16, seed=1)
    index = np.concatenate([b["index"] for b in batches(source, order, 0, 6, batch=16)]).reshape(2, 48)
    for epoch in index:
        np.testing.assert_array_equal(np.sort(epoch), np.arange(48))
    assert np.any(index[0] != index[1])


def test_incomplete_batches_are_dropped(source):
    order = Order(50, 16, seed=1)
    assert order.steps_per_epoch == 3
    assert len(batches(source, order, 0, 3, batch=16)) == 3


def test_views_depend_on_seed_epoch_index_and_view_alone(source):
    order = Order(48, 16, seed=1)
    every = {}
    for number, batch in enumerate(batches(source, order, 0, 6, batch=16)):
        for i, index in enumerate(batch["index"]):
            every[number // 3, int(index)] = [view[i] for view in batch["views"]]
    # A restart, a smaller share per replica, or reading image by image changes nothing.
    for other in (batches(source, order, 4, 6, batch=8), batches(one_by_one(source), order, 4, 6, batch=8)):
        assert len(other) == 4
        for batch in other:
            for i, index in enumerate(batch["index"]):
                for view in (0, 1):
                    np.testing.assert_allclose(batch["views"][view][i], every[1, int(index)][view], atol=1e-5)
    x1, x2 = every[0, 5]
    assert np.abs(x1 - x2).max() > 0.1
    assert np.abs(every[1, 5][0] - x1).max() > 0.1


def test_a_batch_larger_than_the_set_is_refused():
    with pytest.raises(UsageError, match=r"must not exceed the 10 training images. Received: 16"):
        Order(10, 16, 0)


def test_evaluation_shows_every_image_once_in_order(source):
    for way in (source, one_by_one(source)):
        dataset = list(evaluation_dataset(way, 12, 16))
        assert [len(images) for images, _ in dataset] == [16, 16, 16, 2]
        np.testing.assert_array_equal(np.concatenate([index for _, index in dataset]), np.arange(50))
    shuffled = [
        np.concatenate([i for _, i in evaluation_dataset(source, 12, 16, shuffle_seed=0, epoch=e)]) for e in (0, 1)
    ]
    np.testing.assert_array_equal(np.sort(shuffled[0]), np.arange(50))
    assert np.any(shuffled[0] != shuffled[1])


def test_an_image_of_the_right_size_is_evaluated_untouched():
    source = open_source(DataConfig(dataset="shapes"), "test")
    images, _ = next(iter(evaluation_dataset(source, 32, 4)))
    levels = (images * [0.229, 0.224, 0.225] + [0.485, 0.456, 0.406]) * 255
    np.testing.assert_allclose(levels, source.read(tf.range(4)), atol=0.01)
