import dataclasses
import functools
import operator

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from simsiam_tf.augment.policies import POLICIES, resolve
from simsiam_tf.augment.views import make_views
from simsiam_tf.config.augment import AugmentConfig
from simsiam_tf.config.data import DataConfig
from simsiam_tf.data.image_files import FolderImages
from simsiam_tf.data.order import ShuffledOrder
from simsiam_tf.data.pipeline import evaluation_dataset, pretraining_dataset, views_of, with_views
from simsiam_tf.data.sources import listing_bad_images, memory_source, open_source
from simsiam_tf.data.unreadable import SkippedList, UnreadableImages
from simsiam_tf.distribute.input import Share
from simsiam_tf.errors import UsageError

POLICY = POLICIES["simsiam"]
HALVES = slice(0, 8), slice(8, 16)


@pytest.fixture
def source(rng):
    images = rng.integers(0, 256, (50, 12, 16, 3), np.uint8)
    return memory_source("made", images, np.arange(50) % 3, 3)


@pytest.fixture
def files(source, tmp_path):
    """The same images as files, in the same order."""
    paths = [tmp_path / f"{i}.png" for i in range(source.num_examples)]
    for path, image in zip(paths, source.images.numpy(), strict=True):
        Image.fromarray(image).save(path)
    return dataclasses.replace(source, images=FolderImages(tmp_path, paths, UnreadableImages("files", 0.05)))


def batches(source, order, start=0, stop=None, batch=8, **share):
    dataset = pretraining_dataset(source, order, POLICY, 10, Share(batch, **share), start_step=start, stop_step=stop)
    return [tf.nest.map_structure(lambda x: x.numpy(), element) for element in with_views(dataset, POLICY, 10)]


@pytest.mark.slow
def test_each_epoch_shows_each_example_once_in_another_order(source):
    order = ShuffledOrder(48, 16, seed=1)
    index = np.concatenate([b["index"] for b in batches(source, order, 0, 6, batch=16)]).reshape(2, 48)
    for epoch in index:
        np.testing.assert_array_equal(np.sort(epoch), np.arange(48))
    assert np.any(index[0] != index[1])


@pytest.mark.slow
def test_incomplete_batches_are_dropped(source):
    order = ShuffledOrder(50, 16, seed=1)
    assert order.steps_per_epoch == 3
    assert len(batches(source, order, 0, 3, batch=16)) == 3


@pytest.mark.slow
def test_views_depend_on_seed_epoch_index_and_view_alone(source, files, tmp_path):
    order = ShuffledOrder(48, 16, seed=1)
    for way in (source, files):
        every = {}
        for number, batch in enumerate(batches(way, order, 0, 6, batch=16)):
            for i, index in enumerate(batch["index"]):
                every[number // 3, int(index)] = tf.nest.map_structure(operator.itemgetter(i), batch)
        # A restart, or a smaller share for each of two replicas, changes nothing: not one bit.
        later = batches(way, order, 4, 6, batch=8, replicas=2)
        assert len(later) == 4
        for batch in later:
            for i, index in enumerate(batch["index"]):
                tf.nest.map_structure(
                    np.testing.assert_array_equal,
                    tf.nest.map_structure(operator.itemgetter(i), batch),
                    every[1, int(index)],
                )
        other_seed = batches(way, ShuffledOrder(48, 16, seed=2), 0, 3, batch=16)
        other = {int(i): view for b in other_seed for i, view in zip(b["index"], b["views"][0], strict=True)}
        assert np.abs(other[5] - every[0, 5]["views"][0]).max() > 0.1
        x1, x2 = every[0, 5]["views"]
        assert np.abs(x1 - x2).max() > 0.1
        assert np.abs(every[1, 5]["views"][0] - x1).max() > 0.1


@pytest.mark.slow
def test_images_in_memory_and_in_files_are_shown_alike(source, files):
    order = ShuffledOrder(48, 16, seed=1)
    of_memory, of_files = (batches(way, order, 0, 3, batch=16) for way in (source, files))
    for ours, theirs in zip(of_memory, of_files, strict=True):
        np.testing.assert_array_equal(ours["index"], theirs["index"])
        for x, y in zip(ours["views"], theirs["views"], strict=True):
            # Files are cropped by Pillow, which rounds to whole levels; a jitter can stretch that to a few.
            assert np.abs(x - y).mean() < 0.02


@pytest.mark.parametrize(("kind", "calls_python"), [("source", False), ("files", True)])
def test_images_in_memory_are_read_without_python(kind, calls_python, request):
    """TPU slices run the graph of the input on hosts that have no Python."""
    order = ShuffledOrder(48, 16, seed=1)
    dataset = pretraining_dataset(request.getfixturevalue(kind), order, POLICY, 10, Share(8))
    for made in (dataset, with_views(dataset, POLICY, 10)):
        graph = tf.raw_ops.DatasetToGraphV2(input_dataset=made._variant_tensor).numpy()
        assert (b"PyFunc" in graph) == calls_python


@pytest.mark.slow
@pytest.mark.host_xla
@pytest.mark.parametrize("kind", ["source", "files", "cropped later"])
def test_views_made_on_the_device_are_those_made_on_the_host(kind, request):
    later = kind == "cropped later"
    way, order = request.getfixturevalue("files" if later else kind), ShuffledOrder(48, 16, seed=1)
    raw = pretraining_dataset(way, order, POLICY, 10, Share(16), stop_step=3, crops_later=later)
    step = tf.function(functools.partial(make_views, POLICY, 10), jit_compile=True)
    level = 1 / (255 * 0.224)
    for on_device, on_host in zip(raw, batches(way, order, 0, 3, 16), strict=True):
        whole = step(on_device)["views"]
        for x, y in zip(whole, on_host["views"], strict=True):
            if later:  # Pillow rounds to whole levels; a jitter can stretch that to a few
                assert np.abs(x - y).mean() < 0.02
            else:
                np.testing.assert_allclose(x, y, atol=level)
        # Two replicas' halves are the whole, to the bit.
        halves = [step(tf.nest.map_structure(operator.itemgetter(part), on_device))["views"] for part in HALVES]
        for x, y in zip(whole, zip(*halves, strict=True), strict=True):
            np.testing.assert_array_equal(x, np.concatenate(y))


@pytest.mark.slow
@pytest.mark.host_xla
@pytest.mark.parametrize(("kind", "on_device"), [("source", True), ("files", False)])
def test_small_views_stand_beside_the_two_and_leave_them_as_they_are(kind, on_device, request):
    source, order = request.getfixturevalue(kind), ShuffledOrder(48, 8, 1)
    all_views = resolve(AugmentConfig(small_views=3, small_view_size=0.5))

    def first(views):
        dataset = pretraining_dataset(source, order, views, 10, Share(8), stop_step=1)
        if on_device:
            return tf.function(functools.partial(make_views, views, 10), jit_compile=True)(next(iter(dataset)))["views"]
        return next(iter(with_views(dataset, views, 10)))["views"]

    together = first(all_views)
    assert [view.shape[1] for view in together] == [10, 10, 5, 5, 5]
    for x, y in zip(together[:2], first(all_views[:2]), strict=True):
        np.testing.assert_allclose(x, y, atol=1e-5)
    small = [view.numpy() for view in together[2:]]
    assert all(np.abs(small[i] - small[j]).max() > 0.1 for i, j in ((0, 1), (0, 2), (1, 2)))


@pytest.mark.slow
def test_hosts_and_replicas_share_each_global_batch_without_overlap(source):
    order = ShuffledOrder(48, 16, seed=1)
    whole = [b["index"] for b in batches(source, order, 0, 3, batch=16)]
    by_replica = []
    for host in (0, 1):
        mine = batches(source, order, 0, 3, batch=4, replicas=2, first_replica=2 * host)
        by_replica += [[b["index"] for b in mine[replica::2]] for replica in (0, 1)]
    for step, expected in enumerate(whole):
        np.testing.assert_array_equal(np.concatenate([replica[step] for replica in by_replica]), expected)


def test_a_batch_larger_than_the_set_is_refused():
    with pytest.raises(UsageError, match=r"must not exceed the 10 training images. Received: 16"):
        ShuffledOrder(10, 16, 0)


def test_evaluation_shows_every_image_once_in_order(source, files):
    for way in (source, files):
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
    np.testing.assert_allclose(levels, source.images[:4], atol=0.01)


@pytest.mark.slow
def test_an_unreadable_image_is_replaced_in_training_and_left_out_in_evaluation(
    source, files, tmp_path, console, capsys
):
    (tmp_path / "7.png").write_bytes((tmp_path / "7.png").read_bytes()[:200])
    files.images.unreadable.list_in(SkippedList(tmp_path / "skipped.txt"))
    order = ShuffledOrder(48, 16, seed=1)
    first, again = (batches(files, order, 0, 3, batch=16) for _ in range(2))
    np.testing.assert_array_equal(np.sort(np.concatenate([b["index"] for b in first])), np.arange(48))
    for ours, theirs in zip(first, again, strict=True):
        np.testing.assert_array_equal(ours["views"], theirs["views"])
        for i, index in enumerate(ours["index"]):
            if index == 7:  # shows the next image, in the views drawn for this one
                assert all(view[i].std() > 0.1 for view in ours["views"])
                expected = dataclasses.replace(source, images=tf.roll(source.images, -1, axis=0))
                for x, y in zip(views_of(expected, POLICY, 10, 1, 0, [7]), ours["views"], strict=True):
                    assert np.abs(x[0] - y[i]).mean() < 0.02
    assert (tmp_path / "skipped.txt").read_text() == f"{tmp_path / '7.png'}\n"
    assert capsys.readouterr().err.count("warning: skipped an image") == 1
    index = np.concatenate([index for _, index in evaluation_dataset(files, 12, 16)])
    np.testing.assert_array_equal(index, [i for i in range(50) if i != 7])


def test_too_many_unreadable_images_stop_the_run(files, tmp_path):
    for i in (3, 4, 5):
        (tmp_path / f"{i}.png").write_text("no image")
    message = r"At most 5.00% of the 50 images of files may be unreadable.* Received: 3, the first"
    with pytest.raises(UsageError, match=message), listing_bad_images([files], None):
        batches(files, ShuffledOrder(48, 16, seed=1), 0, 3, batch=16)


def test_labels_are_those_of_the_images_shown(source, files, tmp_path):
    (tmp_path / "7.png").write_text("no image")
    order, policy = ShuffledOrder(50, 10, seed=0), (POLICIES["none"][0],)
    for made, replaced in ((source, {}), (files, {7: 8})):
        dataset = pretraining_dataset(made, order, policy, 10, Share(10), stop_step=5, labelled=True)
        seen = {
            int(i): int(label) for batch in dataset for i, label in zip(batch["index"], batch["labels"], strict=True)
        }
        assert seen == {i: source.labels[replaced.get(i, i)] for i in range(50)}
