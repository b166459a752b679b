import pathlib

import numpy as np
import pytest

from simsiam_tf.data.image_files import FolderImages
from simsiam_tf.data.sources import Source, memory_source
from simsiam_tf.data.unreadable import UnreadableImages
from simsiam_tf.errors import UsageError
from simsiam_tf.evaluation.label_subsets import balanced_subset, held_out, listed_subset


def images_named(folder, names):
    folder = pathlib.Path(folder)
    return FolderImages(folder, [folder / name for name in names], UnreadableImages(str(folder), 0.0))


@pytest.fixture
def source():
    """As ImageNet in a folder: names with a class' folder before them."""
    names = [f"n{i % 4:02}/n{i % 4:02}_{i}.JPEG" for i in range(200)]
    return Source("train", 200, np.arange(200) % 4, 4, images_named("train", names))


def test_a_share_is_balanced_seeded_and_ascending(source):
    rows = balanced_subset(source.labels, 0.1, seed=0)
    assert len(rows) == 20
    assert np.bincount(source.labels[rows]).tolist() == [5] * 4
    assert (np.diff(rows) > 0).all()
    np.testing.assert_array_equal(rows, balanced_subset(source.labels, 0.1, seed=0))
    assert set(rows) != set(balanced_subset(source.labels, 0.1, seed=1))


def test_each_class_gives_at_least_one_and_at_most_all_it_has():
    labels = np.array([0] * 90 + [1] * 9 + [2])
    assert np.bincount(labels[balanced_subset(labels, 0.01, 0)]).tolist() == [1, 1, 1]
    assert np.bincount(labels[balanced_subset(labels, 0.5, 0)]).tolist() == [17, 9, 1]


def test_a_holdout_is_a_share_of_each_class_and_leaves_one():
    labels = np.array([0] * 90 + [1] * 20 + [2] * 2 + [3])
    rows = held_out(labels, 0.1, 0)
    assert np.bincount(labels[rows], minlength=4).tolist() == [9, 2, 1, 0]
    np.testing.assert_array_equal(rows, held_out(labels, 0.1, 0))
    with pytest.raises(UsageError, match="at least one class must have two images"):
        held_out(np.arange(5), 0.5, 0)


def test_lists_name_files_with_or_without_their_folder_or_positions(source, tmp_path):
    file = tmp_path / "1percent.txt"
    file.write_text("n03_7.JPEG\n\nn00/n00_4.JPEG\nn03_7.JPEG\n")
    np.testing.assert_array_equal(listed_subset(source, str(file)), [4, 7])
    file.write_text("3\n1\n")
    held = memory_source("made", np.zeros((5, 8, 8, 3), np.uint8), np.arange(5), 5)
    np.testing.assert_array_equal(listed_subset(held, str(file)), [1, 3])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "must be a file with the name of an image in each line"),
        ("\n", "must name at least one image"),
        ("n00_0.JPEG\nnobody.JPEG\n", r"1 of the 2 images .* are not in train. Received: nobody.JPEG"),
    ],
)
def test_a_wrong_list_is_said(source, tmp_path, text, message):
    file = tmp_path / "list.txt"
    if text is not None:
        file.write_text(text)
    with pytest.raises(UsageError, match=message):
        listed_subset(source, str(file))


def test_a_name_that_several_images_have_is_said(source, tmp_path):
    files = images_named("two", ["a/1.png", "b/1.png"])
    (tmp_path / "list.txt").write_text("1.png\n")
    with pytest.raises(UsageError, match="match several images of two"):
        listed_subset(Source("two", 2, np.arange(2), 2, files), str(tmp_path / "list.txt"))


def test_a_subset_is_those_examples_in_that_order(source):
    part = source.subset(np.array([7, 4]))
    assert (part.num_examples, part.labels.tolist(), part.num_classes) == (2, [3, 0], 4)
    assert part.name_of(0) == "n03/n03_7.JPEG"
    images = np.arange(5, dtype=np.uint8)[:, None, None, None] * np.ones((1, 8, 8, 3), np.uint8)
    held = memory_source("made", images, np.arange(5), 5).subset(np.array([4, 1]))
    assert held.images.numpy()[:, 0, 0, 0].tolist() == [4, 1]
    assert source.subset(np.arange(200)) is source
