"""Writes files and folders whole or not at all, on this machine and in a bucket."""

import contextlib
import errno
import json
import logging
import os
import pathlib
import shutil
import tempfile
from collections.abc import Iterator
from typing import Any

from simsiam_tf.errors import UsageError
from simsiam_tf.files.buckets import answering
from simsiam_tf.files.drafts import draft_path
from simsiam_tf.files.paths import as_path, is_in_bucket
from simsiam_tf.files.reading import exists, is_file, is_folder

_log = logging.getLogger(__name__)

# Errors of the disk itself, which every folder on it has: it is full, or it fails.
DISK_ERRORS = {getattr(errno, name) for name in ("ENOSPC", "EDQUOT", "EIO") if hasattr(errno, name)}


def make_folder(path: pathlib.Path) -> None:
    """Makes a folder and those above it, if they do not exist. A bucket needs none."""
    if not is_in_bucket(path):
        path.mkdir(parents=True, exist_ok=True)


def remove_folder(path: pathlib.Path) -> None:
    """Removes a folder with all that is in it, if it exists and can be removed."""
    if is_in_bucket(path):
        if path.is_dir():
            path.rmtree(missing_ok=True)  # type: ignore[attr-defined]
    else:
        shutil.rmtree(path, ignore_errors=True)


def set_aside(path: pathlib.Path, why: str) -> None:
    """Renames a file or folder that is in the way, and says so: `name` becomes `name.damaged`, `name.damaged-2`, ...

    Nothing that it holds is lost.

    Args:
        path: the file or folder.
        why: the reason, as a sentence without its full stop.
    """
    names = (f"{path.name}.damaged{number}" for number in ["", *(f"-{i}" for i in range(2, 1_000_000))])
    free = next(path.with_name(name) for name in names if not exists(path.with_name(name)))
    path.rename(free)
    _log.warning(f"{why}; it is now called {free.name}: {path}")


def make_way(path: pathlib.Path, is_for_folder: bool = False) -> None:
    """Sets aside what stands at a path, if it is a folder where a file belongs, or the other way round.

    In a bucket nothing can stand in the way.

    Args:
        path: the path of the file or the folder that belongs there.
        is_for_folder: whether a folder belongs there.
    """
    if is_in_bucket(path):
        return
    if exists(path) and not (is_folder(path) if is_for_folder else is_file(path)):
        belongs = "A folder" if is_for_folder else "A file"
        set_aside(path, f"{belongs} belongs here, and something else was in its place")


@contextlib.contextmanager
def naming_the_file(path: pathlib.Path) -> Iterator[None]:
    """Adds the path to an OSError that names no file, inside a `with` block. Python names none when a disk is full."""
    try:
        yield
    except OSError as error:
        if error.filename is None and error.errno is not None:
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise


@contextlib.contextmanager
def replacing(path: pathlib.Path) -> Iterator[pathlib.Path]:
    """Writes a file whole or not at all: an existing file is replaced only once the new one is complete.

    Args:
        path: the path of the file.

    Yields:
        The path of the draft to write inside the `with` block, which is on this machine even if the file is not. It is
        removed if the block raises.
    """
    if is_in_bucket(path):
        with tempfile.TemporaryDirectory(prefix="simsiam_tf-") as folder:
            yield (draft := pathlib.Path(folder) / path.name)
            _upload(draft, path)
        return
    made = None
    try:
        with naming_the_file(path):
            yield (made := draft_path(path.parent, f"{path.name}.tmp"))
            made.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            if made is not None:
                made.unlink()
        raise


@contextlib.contextmanager
def replacing_folder(path: pathlib.Path) -> Iterator[pathlib.Path]:
    """Writes a new folder whole or not at all. Into a bucket its files go one after the other, once all are written.

    Args:
        path: the path of the folder, at which there must be nothing.

    Yields:
        The path of an empty folder to write into inside the `with` block, which is on this machine even if the folder
        is not. It is removed if the block raises.
    """
    if is_in_bucket(path):
        with tempfile.TemporaryDirectory(prefix="simsiam_tf-") as folder:
            yield (draft := pathlib.Path(folder))
            for file in sorted(draft.rglob("*")):
                if file.is_file():
                    _upload(file, path / file.relative_to(draft).as_posix())
        return
    made = None
    try:
        with naming_the_file(path):
            made = draft_path(path.parent, f"{path.name}.draft")
            made.mkdir(parents=True)
            yield made
            made.replace(path)
    except BaseException:
        if made is not None:
            shutil.rmtree(made, ignore_errors=True)
        raise


@contextlib.contextmanager
def adding_to_folder(path: pathlib.Path, last: str) -> Iterator[pathlib.Path]:
    """Adds files to a folder, once all are written. What it has of other names stays.

    Args:
        path: the path of the folder, which may exist.
        last: the name of the file that is added last, by which one sees that all of them are there.

    Yields:
        The path of an empty folder of this machine to write into inside the `with` block. It is removed.
    """
    with naming_the_file(path), _draft_for(path) as draft:
        yield draft
        for file in sorted(draft.rglob("*"), key=lambda file: file.name == last):
            target = path / file.relative_to(draft).as_posix()
            if is_in_bucket(path) and file.is_file():
                _upload(file, target)
            elif file.is_file():
                make_folder(target.parent)
                file.replace(target)


@contextlib.contextmanager
def _draft_for(path: pathlib.Path) -> Iterator[pathlib.Path]:
    """Makes an empty folder of this machine for what is added to a folder, and removes it after the `with` block."""
    if is_in_bucket(path):
        with tempfile.TemporaryDirectory(prefix=f"{path.name}.draft") as folder:
            yield pathlib.Path(folder)
        return
    # On the disk of the folder, so that a file can be moved there, and where nothing need be made for it.
    beside = next(parent for parent in path.parents if parent.is_dir())
    draft = draft_path(beside, f"{path.name}.draft")
    try:
        draft.mkdir()
        yield draft
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _upload(file: pathlib.Path, path: pathlib.Path) -> None:
    """Copies a file of this machine into a bucket, where it appears once all of it is there."""
    from etils import epath

    epath.Path(file).copy(path, overwrite=True)


def write_text(path: pathlib.Path, text: str) -> None:
    """Writes a text in UTF-8, whole or not at all. File names in it need not be UTF-8.

    Args:
        path: the path of the file.
        text: the content.
    """
    if is_in_bucket(path):
        path.write_bytes(text.encode("utf-8", "surrogateescape"))
        return
    with replacing(path) as draft:
        draft.write_text(text, encoding="utf-8", errors="surrogateescape")


def append_text(path: pathlib.Path, text: str) -> None:
    """Adds a text to the end of a file, whole or not at all, in UTF-8. File names in it need not be UTF-8.

    A file in a bucket is written anew with it.

    Args:
        path: the path of the file.
        text: what to add.
    """
    if is_in_bucket(path):
        before = path.read_bytes() if path.exists() else b""
        path.write_bytes(before + text.encode("utf-8", "surrogateescape"))
        return
    rest = memoryview(text.encode("utf-8", "surrogateescape"))
    with naming_the_file(path), path.open("ab", buffering=0) as file:
        size = file.tell()
        try:
            while rest:  # of a disk that is nearly full, the system takes a part without an error
                rest = rest[file.write(rest) :]
        except BaseException:
            with contextlib.suppress(OSError):
                file.truncate(size)
            raise


def write_json(path: pathlib.Path, content: Any) -> None:
    """Writes a JSON file whole or not at all: an existing file is replaced only once the new one is complete.

    Args:
        path: the path of the file.
        content: the value to write, of types that JSON knows.

    Raises:
        ValueError: if a number is not finite. JSON has no such numbers, and no record should hold one.
    """
    write_text(path, json.dumps(content, indent=2, allow_nan=False) + "\n")


def check_folder(path: pathlib.Path) -> None:
    """Checks that files can be written into a folder, which is made if it does not exist.

    Args:
        path: the path of the folder.

    Raises:
        OSError: if they cannot, among other reasons because the disk is full.
        ConnectionError: if it is in a bucket that does not exist, refuses, or does not answer.
    """
    if is_in_bucket(path):
        probe = path / f".write_test_{os.getpid()}"
        with answering(path) as call:
            call(lambda: probe.write_bytes(b"test"))
            call(probe.unlink)
        return
    with naming_the_file(path):
        make_folder(path)
        probe = draft_path(path, ".write_test_")
        try:
            probe.write_bytes(bytes(4096))  # a full disk may still take empty files
        finally:
            probe.unlink(missing_ok=True)


def check_output(path: pathlib.Path) -> None:
    """Checks that a file or folder can be made at the path of --out, before the work whose result it gets.

    The folders above it are made.

    Args:
        path: the path, at which nothing exists yet, or a file to replace.

    Raises:
        UsageError: if it cannot be made.
        ConnectionError: if it is in a bucket that does not exist, refuses, or does not answer.
    """
    try:
        if not is_in_bucket(path):
            with contextlib.suppress(FileNotFoundError):
                os.lstat(path)  # raises if the name itself is too long
        check_folder(as_path(os.path.dirname(path)) if is_in_bucket(path) else path.parent)
    except OSError as error:
        if error.errno in DISK_ERRORS or isinstance(error, ConnectionError):
            raise
        raise UsageError(f"--out must be a path that can be written ({error.strerror}). Received: {path}.") from error
