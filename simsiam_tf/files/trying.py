"""Tries what a run does in its folder: writes, replaces, renames and locks, and leaves nothing behind."""

import contextlib
import dataclasses
import errno
import os
import pathlib
import shutil
import tempfile

from simsiam_tf.files.paths import is_in_bucket
from simsiam_tf.files.writing import check_folder

try:
    import fcntl
except ImportError:  # Windows has no fcntl: folders are not locked there
    fcntl = None  # type: ignore[assignment]

# A draft that replaces a file is larger than what a full disk still takes.
_BYTES = 65536


@dataclasses.dataclass(frozen=True)
class Tried:
    """Holds what a folder's file system can do.

    Attributes:
        renames: whether a written file can take the place of another, and a folder get another name.
        locks: whether a second lock on a file is refused.
        place: the folder in which this was tried: the one that was asked about, or the nearest above that exists.
    """

    renames: bool
    locks: bool
    place: pathlib.Path


def try_folder(path: pathlib.Path) -> Tried:
    """Tries to write, replace, rename and lock files in a folder, or where it would be made.

    Everything happens in a temporary folder, which is removed again. The folder itself is not made.

    Args:
        path: the absolute path of the folder.

    Raises:
        OSError: if nothing can be written there, among other reasons because the disk is full.
        ConnectionError: if it is in a bucket that does not exist, refuses, or does not answer.
    """
    if is_in_bucket(path):  # it replaces whole files, and has no locks
        check_folder(path)
        return Tried(True, False, path)
    place = next(parent for parent in (path, *path.parents) if parent.exists())
    if not place.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(place))
    trial = pathlib.Path(tempfile.mkdtemp(prefix=".simsiam_tf-doctor-", dir=place))
    try:
        return Tried(_renames(trial), _locks(trial), place)
    finally:
        shutil.rmtree(trial, ignore_errors=True)


def _renames(trial: pathlib.Path) -> bool:
    old, draft, folder = trial / "file", trial / "draft", trial / "folder"
    old.write_bytes(b"old")
    draft.write_bytes(bytes(_BYTES))
    with draft.open("rb") as file, contextlib.suppress(OSError):  # not every file system can
        os.fsync(file.fileno())
    folder.mkdir()
    try:
        draft.replace(old)
        folder.rename(trial / "renamed")
    except OSError:
        return False
    return old.stat().st_size == _BYTES and not draft.exists() and (trial / "renamed").is_dir()


def _locks(trial: pathlib.Path) -> bool:
    if fcntl is None:
        return False
    with (trial / "lock").open("ab+") as first, (trial / "lock").open("ab+") as second:
        try:
            fcntl.flock(first, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        try:
            fcntl.flock(second, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
        return False


def is_locked(path: pathlib.Path) -> bool:
    """Returns whether another process holds the lock of a file of this machine. The file is not changed.

    Args:
        path: the path of the file, which may not exist.
    """
    if fcntl is None or is_in_bucket(path) or not path.is_file():
        return False
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False
