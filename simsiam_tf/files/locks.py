"""Keeps two processes from writing into one folder."""

import atexit
import contextlib
import datetime
import logging
import os
import pathlib
import platform
import threading
from typing import IO

from simsiam_tf.files.paths import is_in_bucket

try:
    import fcntl
except ImportError:  # Windows has no fcntl: folders are not locked there
    fcntl = None  # type: ignore[assignment]

_log = logging.getLogger(__name__)

_BEGAN = ", which began at "
# How long the end of a process waits for a bucket.
_SECONDS = 5.0

# The lock files stay open until the process ends. The system then releases the locks, even after a kill.
_held: dict[pathlib.Path, IO[bytes] | None] = {}


class LockHeldError(Exception):
    """Another process holds the lock. The message says which, as far as that is known."""


def lock(path: pathlib.Path, named: bool = True) -> None:
    """Locks a file against other processes until this process ends, even by a kill.

    Nothing is locked where the file system has no locks. A bucket has none: the file only says which process began to
    write there, and one that was there before is told of in a warning.

    Args:
        path: the path of the file, which is made.
        named: whether to write this process into the file.

    Raises:
        LockHeldError: if another process holds the lock.
    """
    if path in _held:
        return
    if is_in_bucket(path):
        if named:
            _announce(path)
        return
    if fcntl is None:
        return
    file = path.open("ab+", buffering=0)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        file.seek(0)
        raise LockHeldError(file.read().decode(errors="backslashreplace").strip() or "unknown") from error
    except OSError:  # the file system has no locks: the work goes on without one
        file.close()
        return
    _held[path] = file
    if named:
        with contextlib.suppress(OSError):  # the lock holds without its text
            file.truncate(0)
            file.write(f"{_this_process()}\n".encode())


def release(path: pathlib.Path) -> None:
    """Releases the lock of a file, if this process holds it."""
    if is_in_bucket(path):
        _withdraw(path)
    elif (file := _held.pop(path, None)) is not None:
        file.close()


def _this_process() -> str:
    return f"process {os.getpid()} on {platform.node()}"


def _announce(path: pathlib.Path) -> None:
    before = path.read_bytes().decode(errors="backslashreplace").strip() if path.exists() else ""
    if _BEGAN in before:  # what a run of this machine leaves, copied into a bucket, does not say so
        _log.warning(
            f"{path.parent} was not left in order by {before}; if that still runs, stop it: two would spoil each "
            "other's files, and a bucket has no locks."
        )
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    path.write_bytes(f"{_this_process()}{_BEGAN}{now}\n".encode())
    _held[path] = None
    atexit.register(_withdraw, path)


def _withdraw(path: pathlib.Path) -> None:
    """Removes what this process wrote. A bucket that refuses it now is not worth an error."""
    if _held.pop(path, path) is not None:
        return

    def remove() -> None:
        with contextlib.suppress(Exception):
            path.unlink()

    # TensorFlow would ask a bucket that is gone for minutes.
    removing = threading.Thread(target=remove, name="bucket", daemon=True)
    removing.start()
    removing.join(_SECONDS)
