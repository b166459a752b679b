"""Lists the files of checkpoints, and writes them whole or not at all."""

import contextlib
import errno
import glob
import os
import pathlib
import re
import shutil
from collections.abc import Callable, Iterator

from simsiam_tf.files import (
    DISK_ERRORS,
    as_path,
    exists,
    is_in_bucket,
    make_folder,
    make_way,
    plain_path,
    remove_folder,
)

_NAME = re.compile(r"step-([0-9]{1,18})\.index")
_DATA = re.compile(r"step-[0-9]{1,18}\.data-[0-9]{5}-of-[0-9]{5}")


def saved_checkpoints(directory: pathlib.Path) -> list[str]:
    """Lists the paths of a run's checkpoints, the latest first, without checking whether they can be read.

    Files of other names, such as the copy `step-4-copy.index`, are left alone.

    Args:
        directory: the folder of the checkpoints.
    """
    names = [path.name for path in directory.glob("step-*.index") if _NAME.fullmatch(path.name) and path.is_file()]
    return sorted((str(directory / name.removesuffix(".index")) for name in names), key=step_of, reverse=True)


def step_of(path: str) -> int:
    """Returns the step of a checkpoint, given its path."""
    return int(path.rpartition("-")[2])


def check_files(path: str) -> None:
    """Checks that the parts of a checkpoint are files. TensorFlow would wait forever for what a pipe holds.

    Args:
        path: the path of the checkpoint, without ending.

    Raises:
        OSError: if one of them is not.
    """
    whole = as_path(path)
    for part in whole.parent.glob(f"{glob.escape(whole.name)}.*"):
        if not part.is_file():
            raise OSError(errno.EINVAL, "not a regular file", str(part))


def delete_checkpoint(path: str) -> None:
    """Deletes the files of a checkpoint."""
    index = as_path(f"{path}.index")
    for part in (index, *index.parent.glob(f"{index.stem}.data-*")):
        part.unlink(missing_ok=True)


def remove_remains(directory: pathlib.Path) -> None:
    """Removes what a kill left of a save or of a deletion: the draft, and data without an index.

    Args:
        directory: the folder of the checkpoints, into which no other process may write.
    """
    with contextlib.suppress(OSError):  # a folder that cannot be changed is noticed by the next save
        remove_folder(directory / "draft")
        for part in directory.glob("step-*.data-*"):
            if _DATA.fullmatch(part.name) and not exists(part.with_name(f"{part.name.partition('.')[0]}.index")):
                part.unlink(missing_ok=True)


def check_space(directory: pathlib.Path, size: int) -> None:
    """Checks that the disk has room for a checkpoint, before the training that it would save.

    Args:
        directory: the folder of the checkpoints.
        size: the size of a checkpoint in bytes.

    Raises:
        OSError: if the disk has less free space.
    """
    if is_in_bucket(directory):
        return
    make_folder(directory)
    free = shutil.disk_usage(directory).free
    if free < size:
        what = f"A checkpoint takes {size / 2**20:.1f} MiB, and {free / 2**20:.1f} MiB are free"
        raise OSError(errno.ENOSPC, what, str(directory))


def free_space(directory: pathlib.Path) -> int:
    """Returns the free bytes of the disk that a folder is on, or would be on if it were made.

    Args:
        directory: the absolute path of a folder of this machine.
    """
    there = next(path for path in (directory, *directory.parents) if path.is_dir())
    return shutil.disk_usage(there).free


def write_whole(write: Callable[[str], str], directory: pathlib.Path, name: str) -> None:
    """Writes a checkpoint whole or not at all.

    Args:
        write: the function that writes the files of a checkpoint to a path and returns the path.
        directory: the folder of the checkpoints.
        name: the name of the checkpoint.

    Raises:
        OSError: if the disk is full or fails. Nothing is left of the checkpoint then.
    """
    make_folder(directory)
    draft = directory / "draft"
    remove_folder(draft)  # left by an earlier save if the process was killed during it
    try:
        with _as_os_error(directory / name):
            write(str(plain_path(directory) / "draft" / name))
            # The index file is moved last. A kill before that leaves no index, so no incomplete checkpoint is found.
            for part in sorted(draft.glob(f"{name}.*"), key=lambda path: path.suffix == ".index"):
                _flush(part)
                make_way(directory / part.name)
                part.replace(directory / part.name)
            _flush_folder(directory)
    finally:
        with contextlib.suppress(Exception):  # a bucket that refuses has said so above
            remove_folder(draft)


@contextlib.contextmanager
def _as_os_error(path: pathlib.Path) -> Iterator[None]:
    """Turns TensorFlow's errors of the file system into an OSError that names the checkpoint, inside a `with` block."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error
    except Exception as error:
        for number in (*DISK_ERRORS, errno.EROFS, errno.EACCES, errno.EPERM, errno.EFBIG, errno.ENAMETOOLONG):
            if os.strerror(number) in str(error):
                raise OSError(number, os.strerror(number), str(path)) from error
        raise


def _flush(path: pathlib.Path) -> None:
    """Waits until the system has written a file to the disk. In a bucket it is there already.

    Raises:
        OSError: if the disk is full or fails.
    """
    if is_in_bucket(path):
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:  # some file systems cannot do this
        if error.errno in DISK_ERRORS:
            raise
    finally:
        os.close(descriptor)


def _flush_folder(path: pathlib.Path) -> None:
    """Waits until the system has written the names of a folder's files to the disk, where it can.

    Windows opens no folders, and some file systems cannot do this for them. The files themselves are safe there too.
    """
    if is_in_bucket(path):
        return
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
