import errno
import os

import pytest

from simsiam_tf.files import trying
from simsiam_tf.files.trying import is_locked, try_folder


def test_everything_is_tried_and_nothing_is_left(tmp_path):
    for path in (tmp_path, tmp_path / "new", tmp_path / "new/below"):
        tried = try_folder(path)
        assert (tried.renames, tried.locks, tried.place) == (True, True, tmp_path)
        assert os.listdir(tmp_path) == []


def test_a_file_in_the_way_is_an_error(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(NotADirectoryError, match="Not a directory"):
        try_folder(tmp_path / "file/run")


def test_what_fails_leaves_nothing_either(tmp_path, monkeypatch):
    def refuse(*args):
        raise OSError(errno.EPERM, "no")

    with monkeypatch.context() as patched:
        patched.setattr(trying.pathlib.Path, "replace", refuse)
        assert not try_folder(tmp_path).renames
    with monkeypatch.context() as patched:
        patched.setattr(trying.fcntl, "flock", refuse)
        assert not try_folder(tmp_path).locks
    with monkeypatch.context() as patched:
        patched.setattr(trying.fcntl, "flock", lambda *args: None)  # as a file system that only seems to lock
        assert not try_folder(tmp_path).locks
    with monkeypatch.context() as patched:
        patched.setattr(trying.pathlib.Path, "write_bytes", refuse)
        with pytest.raises(OSError, match="no"):
            try_folder(tmp_path)
    assert os.listdir(tmp_path) == []


def test_a_bucket_replaces_files_and_has_no_locks(monkeypatch):
    monkeypatch.setattr(trying, "check_folder", lambda path: None)
    tried = try_folder("gs://bucket/run")
    assert (tried.renames, tried.locks) == (True, False)


def test_no_file_is_not_locked(tmp_path):
    assert not is_locked(tmp_path / "none")
    assert os.listdir(tmp_path) == []
