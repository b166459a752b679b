"""Checkpoints in folders of any name, beside files of any name, and on disks that are full."""

import errno
import os
import pathlib
import shutil
import subprocess

import numpy as np
import pytest
import tensorflow as tf

from simsiam_tf.training import checkpoints as module
from simsiam_tf.training.checkpoints import saved_checkpoints
from tests.methods.test_methods import make, make_views
from tests.training.test_checkpoints import everything, open_checkpoints, two_saved_steps

NAMES = ["lr[0.1]", "a*b", "why?", "back\\slash", "{a,b}", os.fsdecode(b"caf\xe9"), "データ"]


def test_a_folder_of_any_name_gives_its_checkpoints_back(tmp_path, rng):
    model, other = make("simsiam"), make("simsiam")
    model.train_step(make_views(rng))
    for name in NAMES:
        folder = tmp_path / name
        open_checkpoints(model, folder).save()
        for variable in everything(other):
            variable.assign(tf.ones_like(variable.value))
        assert open_checkpoints(other, folder).restore_latest() == 1
        for ours, theirs in zip(everything(model), everything(other), strict=True):
            np.testing.assert_array_equal(ours.numpy(), theirs.numpy(), err_msg=theirs.path)
        assert module.restore_model(other, folder) == str(folder / "step-1")
        assert module.restore_model(other, folder, str(folder / "step-1.index")) == str(folder / "step-1")


def test_files_of_other_names_are_left_alone(tmp_path, rng):
    views = two_saved_steps(tmp_path, rng)
    others = [tmp_path / name for name in ("step-4-copy.index", "step-.index", "step-²9.index", "step--3.index")]
    for path in others:
        shutil.copy(tmp_path / "step-1.index", path)
    (tmp_path / "step-3.index").mkdir()  # where the next save belongs
    again = open_checkpoints(make("simsiam"), tmp_path, keep=1)
    assert again.restore_latest() == 2
    again._model.train_step(views)
    again.save()
    assert saved_checkpoints(tmp_path) == [str(tmp_path / "step-3")]
    assert all(path.exists() for path in others)
    assert (tmp_path / "step-3.index.damaged").is_dir()


def fails_in_the_middle(error):
    def write(self, path):
        folder = pathlib.Path(f"{path}_temp")
        folder.mkdir(parents=True)
        (folder / "part").write_bytes(b"a part")
        raise error

    return write


ERRORS = [
    tf.errors.ResourceExhaustedError(None, None, "{{node}} /x/step-3_temp/part; No space left on device"),
    tf.errors.UnknownError(None, None, "/x/step-3_temp/part; Input/output error"),
    tf.errors.PermissionDeniedError(None, None, "/x/step-3_temp/part; Permission denied"),
    OSError(errno.ENOSPC, "No space left on device"),
]


def test_a_save_that_fails_leaves_the_last_one_whole_and_no_draft(tmp_path, rng, monkeypatch):
    views = two_saved_steps(tmp_path, rng)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    again = open_checkpoints(make("simsiam"), tmp_path)
    again.restore_latest()
    again._model.train_step(views)
    for error in ERRORS:
        with monkeypatch.context() as patch:
            patch.setattr(tf.train.Checkpoint, "write", fails_in_the_middle(error))
            with pytest.raises(OSError, match=r"step-3") as failed:
                again.save()
        assert failed.value.strerror
        assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    again.save()  # once there is room
    assert open_checkpoints(make("simsiam"), tmp_path).restore_latest() == 3


def test_other_errors_of_a_save_stay_what_they_are(tmp_path, monkeypatch):
    wrong = tf.errors.InvalidArgumentError(None, None, "a bug")
    monkeypatch.setattr(tf.train.Checkpoint, "write", fails_in_the_middle(wrong))
    with pytest.raises(tf.errors.InvalidArgumentError):
        open_checkpoints(make("simsiam"), tmp_path).save()


def test_too_little_room_for_a_checkpoint_is_said_before_training(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10, 9, 1))
    with pytest.raises(OSError, match=r"A checkpoint takes .* MiB, and 0\.0 MiB are free: .*") as failed:
        open_checkpoints(make("simsiam"), tmp_path).restore_latest()
    assert failed.value.errno == errno.ENOSPC


@pytest.fixture
def small_disk(tmp_path):
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if not shutil.which("mount") or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("needs a system that lets this user mount a small disk")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_disk_that_is_full_at_the_second_checkpoint(small_disk, rng):
    views, model, folder = make_views(rng), make("simsiam"), small_disk / "checkpoints"
    checkpoints = open_checkpoints(model, folder)
    model.train_step(views)
    checkpoints.save()
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    filler = small_disk / "filler"
    with filler.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space"):
        while True:
            file.write(bytes(4096))
    model.train_step(views)
    with pytest.raises(OSError, match=r"No space left on device: '.*step-2'"):
        checkpoints.save()
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    filler.unlink()
    again = open_checkpoints(make("simsiam"), folder)
    assert again.restore_latest() == 1
    again._model.train_step(views)
    again.save()
    assert open_checkpoints(make("simsiam"), folder).restore_latest() == 2


def test_a_system_that_opens_no_folders_saves_all_the_same(tmp_path, rng, monkeypatch):
    """As Windows, and some network file systems."""
    open_file = os.open

    def refusing(path, *args, **kwargs):
        if os.path.isdir(path) and "dir_fd" not in kwargs:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return open_file(path, *args, **kwargs)

    monkeypatch.setattr(os, "open", refusing)
    monkeypatch.setattr(shutil, "rmtree", remove)
    open_checkpoints(make("simsiam"), tmp_path).save()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-0.data-00000-of-00001", "step-0.index"]


def remove(path, ignore_errors=False):
    """shutil.rmtree opens folders on this system."""
    for part in sorted(pathlib.Path(path).rglob("*"), reverse=True):
        part.rmdir() if part.is_dir() else part.unlink()
    if os.path.isdir(path):
        os.rmdir(path)


def test_a_disk_that_fails_while_it_is_flushed_is_not_passed_over(tmp_path, monkeypatch):
    def failing(descriptor):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", failing)
    with pytest.raises(OSError, match=r"Input/output error: '.*step-0'"):
        open_checkpoints(make("simsiam"), tmp_path).save()
    assert list(tmp_path.iterdir()) == []


def test_what_a_kill_left_of_a_save_is_gone_when_the_run_goes_on(tmp_path, rng):
    """A kill during the last save of a run leaves what no later save would remove."""
    two_saved_steps(tmp_path, rng)
    before = sorted(path.name for path in tmp_path.iterdir())
    (tmp_path / "draft").mkdir()
    (tmp_path / "draft" / "step-2.index").touch()
    (tmp_path / "step-3.data-00000-of-00001").touch()  # whose index was to follow
    (tmp_path / "step-3.data-of-somebody").touch()
    assert open_checkpoints(make("simsiam"), tmp_path).restore_latest() == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*before, "step-3.data-of-somebody"])
