import os
import pathlib
import threading

import numpy as np
import pytest
import tensorflow as tf

from simsiam_tf.data.image_files import FolderImages
from simsiam_tf.data.sources import Source, listing_bad_images
from simsiam_tf.data.unreadable import SkippedList, UnreadableImages
from simsiam_tf.errors import UsageError


def test_each_image_is_said_and_listed_once_even_after_a_restart(tmp_path, console, capsys):
    skipped = tmp_path / "skipped.txt"
    for _ in range(2):
        unreadable = UnreadableImages("some", 0.5)
        unreadable.list_in(SkippedList(skipped))
        part = unreadable.part(100)
        threads = [
            threading.Thread(target=unreadable.add, args=(part, f"{i % 5}.jpg", OSError("cut"))) for i in range(40)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(part.reasons) == 5
        assert capsys.readouterr().err.count("warning: skipped") == 5
        assert sorted(skipped.read_text().split()) == [f"{i}.jpg" for i in range(5)]


def test_a_name_that_is_not_utf8_is_listed_as_it_is(tmp_path):
    unreadable = UnreadableImages("some", 0.5)
    unreadable.list_in(SkippedList(tmp_path / "skipped.txt"))
    unreadable.add(unreadable.part(100), os.fsdecode(b"/caf\xe9.jpg"), OSError("cut"))
    assert (tmp_path / "skipped.txt").read_bytes() == b"/caf\xe9.jpg\n"


def test_the_limit_is_a_share_of_the_images_in_use():
    unreadable = UnreadableImages("some", 0.01)
    unreadable.part(1000)
    part = unreadable.part(100)
    unreadable.add(part, "a", OSError("cut"))
    with pytest.raises(
        UsageError, match=r"At most 1.00% of the 100 images of some .*Received: 2, the first of them a \(cut"
    ):
        unreadable.add(part, "b", OSError("cut"))


def source(count, max_fraction=0.5):
    files = [pathlib.Path("some") / f"{i}.jpg" for i in range(count)]
    images = FolderImages(pathlib.Path("some"), files, UnreadableImages("some", max_fraction))
    return Source("some", count, None, 0, images)


def test_an_image_of_two_sources_is_listed_once(tmp_path):
    """As of two splits that share a folder, and of the training set and the part of it that is the kNN bank."""
    one, other, skipped = source(100), source(100), tmp_path / "skipped.txt"
    with listing_bad_images([one, other], skipped):
        for each in (one, other, one.first(10)):
            each.files.skip(3, OSError("cut"))
    assert skipped.read_text() == "some/3.jpg\n"


def test_a_part_of_a_source_shares_the_list_and_stops_the_run(tmp_path):
    whole, skipped = source(100), tmp_path / "skipped.txt"
    before = whole.first(10)
    message = rf"At most 50.00% of the 2 images of some .*they are listed in {skipped}. Received: 2, the first.*broken"
    with pytest.raises(UsageError, match=message), listing_bad_images([whole], skipped):
        after = before.subset(np.array([7, 4]))
        before.files.skip(0, ValueError("broken"))
        after.files.skip(0, ValueError("broken"))
        assert skipped.read_text() == "some/0.jpg\nsome/7.jpg\n"
        assert (whole.num_readable, before.num_readable, after.num_readable) == (100, 9, 1)
        try:
            after.files.skip(1, ValueError("broken"))
        except UsageError:
            raise tf.errors.InvalidArgumentError(None, None, "as tf.data has it") from None


def test_an_error_of_tf_data_that_is_of_something_else_stays_as_it_is():
    with pytest.raises(tf.errors.InvalidArgumentError, match="something else"), listing_bad_images([source(10)], None):
        raise tf.errors.InvalidArgumentError(None, None, "something else")


def test_an_image_that_a_bucket_refuses_is_not_one_that_cannot_be_read():
    unreadable = UnreadableImages("some", 0.5)
    images = FolderImages(pathlib.Path("/some"), ["/some/1.jpg", "/some/2.jpg"], unreadable)
    refused = tf.errors.UnauthenticatedError(None, None, "HTTP response code 401 when reading gs://bucket/shard")
    with pytest.raises(tf.errors.UnauthenticatedError):
        images.skip(0, refused)
    assert images.num_skipped == 0
    images.skip(0, tf.errors.DataLossError(None, None, "corrupted record at 12 in gs://bucket/shard"))
    assert images.num_skipped == 1
