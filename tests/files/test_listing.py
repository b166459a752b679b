"""The folders in a folder."""

import os

import pytest

from simsiam_tf.files import folders_in, real_path, user_path


def test_folders_and_links_to_them_are_listed_in_order_and_hidden_ones_are_not(tmp_path):
    for name in ("b", "a", ".hidden"):
        (tmp_path / name).mkdir()
    (tmp_path / "file").write_text("x")
    (tmp_path / "c").symlink_to(tmp_path / "a")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "gone").symlink_to("nowhere")
    os.mkfifo(tmp_path / "pipe")
    assert folders_in(tmp_path) == [tmp_path / name for name in "abc"]
    assert real_path(tmp_path / "c") == os.path.realpath(tmp_path / "a")
    with pytest.raises(NotADirectoryError):
        folders_in(tmp_path / "file")


def test_folders_in_a_bucket_are_the_beginnings_of_names(gcs, tmp_path):
    (tmp_path / "deep").mkdir()
    for name in ("x.txt", "deep/y.txt"):
        (tmp_path / name).write_text("x")
    gcs.upload(tmp_path, "runs")
    root = user_path(f"{gcs.address}/runs")
    assert [str(path) for path in folders_in(root)] == [f"{gcs.address}/runs/deep"]
    assert real_path(root) == str(root)
