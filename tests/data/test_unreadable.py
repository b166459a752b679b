import os
import threading

import pytest
import tensorflow as tf

from simsiam_tf.data.unreadable import BadImages, Report
from simsiam_tf.errors import UsageError


def test_each_image_is_said_and_listed_once_even_after_a_restart(tmp_path, capsys):
    report = tmp_path / "skipped.txt"
    for _ in range(2):
        bad = BadImages("some", 100, 0.5)
        bad.list_in(Report(report))
        threads = [threading.Thread(target=bad.add, args=(f"{i % 5}.jpg", OSError("cut"))) for i in range(40)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(bad) == 5
        assert capsys.readouterr().err.count("warning: skipped") == 5
        assert sorted(report.read_text().split()) == [f"{i}.jpg" for i in range(5)]


def test_a_name_that_is_not_utf8_is_listed_as_it_is(tmp_path):
    bad = BadImages("some", 100, 0.5)
    bad.list_in(Report(tmp_path / "skipped.txt"))
    bad.add(os.fsdecode(b"/caf\xe9.jpg"), OSError("cut"))
    assert (tmp_path / "skipped.txt").read_bytes() == b"/caf\xe9.jpg\n"


def test_the_limit_is_a_share_of_the_images_in_use():
    bad = BadImages("some", 1000, 0.01).out_of(100)
    bad.add("a", OSError("cut"))
    with pytest.raises(
        UsageError, match=r"At most 1.00% of the 100 images of some .*Received: 2, the first of them a \(cut"
    ):
        bad.add("b", OSError("cut"))


def test_an_image_of_two_sources_is_listed_once(tmp_path):
    """As of the training set and the part of it that is the kNN monitor's bank."""
    report = Report(tmp_path / "skipped.txt")
    whole = BadImages("some", 100, 0.5)
    part = whole.out_of(10)
    for bad in (whole, part):
        bad.list_in(report)
        bad.add("a.jpg", OSError("cut"))
    assert report.file.read_text() == "a.jpg\n"


def test_a_part_of_a_source_shares_the_report_and_stops_the_run(tmp_path):
    whole = BadImages("made", 100, 0.5)
    before, report = whole.out_of(10), Report(tmp_path / "skipped.txt")
    whole.list_in(report)
    after = before.out_of(2)
    before.add("a", ValueError("broken"))
    after.add("b", ValueError("broken"))
    assert (tmp_path / "skipped.txt").read_text() == "a\nb\n"
    with pytest.raises(UsageError, match=r"At most 50.00% of the 2 images"), whole.stopping_the_run():
        try:
            after.add("c", ValueError("broken"))
        except UsageError:
            raise tf.errors.InvalidArgumentError(None, None, "as tf.data has it") from None
