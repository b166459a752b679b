"""Reads files, which may be damaged, hostile, of the wrong kind, or in a bucket. Every read has a greatest length."""

import contextlib
import errno
import io
import json
import math
import os
import pathlib
import stat
import tempfile
import zipfile
from collections.abc import Iterator
from typing import IO, Any

import numpy as np

from simsiam_tf.files.buckets import check_bucket, explain
from simsiam_tf.files.paths import as_path, is_in_bucket

# No file that is read whole is longer, in bytes, unless the caller says so.
_LONGEST = 8 << 30
# The versions of the header of `.npy` files, and what reads them.
_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


def _in_bucket(path: str | pathlib.Path) -> pathlib.Path:
    """Returns the path object of an address, after the first of its bucket was answered in time."""
    found = as_path(os.fspath(path))
    check_bucket(found)
    return found


def exists(path: str | pathlib.Path) -> bool:
    """Returns whether anything is at an absolute path, be it a link to nowhere."""
    return _in_bucket(path).exists() if is_in_bucket(path) else os.path.lexists(path)


def is_file(path: str | pathlib.Path) -> bool:
    """Returns whether a file is at an absolute path; not so if the system cannot have such a name."""
    return _in_bucket(path).is_file() if is_in_bucket(path) else os.path.isfile(path)


def is_folder(path: str | pathlib.Path) -> bool:
    """Returns whether a folder is at an absolute path. In a bucket, that is the beginning of a file's name."""
    return _in_bucket(path).is_dir() if is_in_bucket(path) else os.path.isdir(path)


def modified(path: str | pathlib.Path) -> int:
    """Returns the modification time of a file or folder in nanoseconds, or of a link's target; -1 if there is none."""
    try:
        if is_in_bucket(path):
            return as_path(os.fspath(path)).stat().mtime * 1_000_000_000  # type: ignore[attr-defined]
        return os.stat(path).st_mtime_ns
    except OSError:
        return -1
    except Exception as error:
        if explain(error) is None:
            raise
        return -1


def file_size(path: str | pathlib.Path) -> int:
    """Returns the size of a file in bytes, or of a link's target.

    Raises:
        OSError: if there is no file, or it cannot be seen.
    """
    if is_in_bucket(path):
        return as_path(os.fspath(path)).stat().length  # type: ignore[attr-defined]
    return os.stat(path).st_size


def size_of_file(path: str | pathlib.Path) -> int:
    """Returns the size of a file in bytes, or of a link's target; -1 if there is none."""
    try:
        return file_size(path)
    except OSError:
        return -1


def read_regular(path: str | pathlib.Path, longest: int = _LONGEST) -> bytes:
    """Reads a regular file. Anything else, such as a pipe or a device, is refused without waiting for its content.

    Args:
        path: the path of the file.
        longest: the greatest length in bytes.

    Raises:
        OSError: if it is no regular file, is longer, or cannot be read.
    """
    if is_in_bucket(path):
        found = _in_bucket(path)
        _check_length(found.stat().length, longest, path)  # type: ignore[attr-defined]
        return found.read_bytes()
    with opened_regular(path, longest) as (content, status):
        return content.read(status.st_size)


def read_text(path: str | pathlib.Path) -> str:
    """Reads a text in UTF-8. File names in it need not be UTF-8.

    Args:
        path: the path of the file.

    Raises:
        OSError: if it is no regular file, or cannot be read.
    """
    return read_regular(path).decode("utf-8-sig", "surrogateescape").replace("\r\n", "\n")


def read_range(path: str, offset: int, length: int) -> bytes:
    """Reads some bytes of a file.

    Args:
        path: the absolute path of the file.
        offset: the position of the first byte.
        length: the number of bytes.
    """
    if is_in_bucket(path):
        with as_path(path).open("rb") as remote:
            remote.seek(offset)
            return remote.read(length)
    with open(path, "rb") as file:
        file.seek(offset)
        return file.read(length)


@contextlib.contextmanager
def local_copy(path: pathlib.Path) -> Iterator[pathlib.Path]:
    """Gives a file to a program that opens only files of this machine, inside a `with` block.

    Args:
        path: the path of the file.

    Yields:
        The path itself, or that of a copy under the same name if the file is in a bucket.
    """
    if not is_in_bucket(path):
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="simsiam_tf-") as folder:
        copy = pathlib.Path(folder) / path.name
        copy.write_bytes(read_regular(path))
        yield copy


def load_array(path: pathlib.Path, mapped: bool = False) -> np.ndarray:
    """Loads an array from a `.npy` file.

    Args:
        path: the path of the file.
        mapped: whether to read only what is used of it. An array in a bucket is read whole all the same.

    Raises:
        OSError: if the file cannot be read.
        ValueError: if it holds no array.
    """
    if not mapped or is_in_bucket(path):
        return _array(read_regular(path))
    with opened_regular(path) as (content, status):
        _check_header(content, status.st_size)
    return np.load(path, mmap_mode="r", allow_pickle=False)


def load_arrays(path: pathlib.Path) -> dict[str, np.ndarray]:
    """Loads the arrays of a `.npz` file by name.

    Args:
        path: the path of the file.

    Raises:
        OSError: if the file cannot be read.
        ValueError: if it holds no arrays, is damaged, or holds compressed ones, which are never written here.
    """
    content = read_regular(path)
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = archive.infolist()
            is_packed = any(entry.compress_type != zipfile.ZIP_STORED for entry in entries)
            if is_packed or sum(entry.file_size for entry in entries) > len(content):
                raise ValueError("its parts are compressed, or larger than the file")
            return {entry.filename.removesuffix(".npy"): _array(archive.read(entry)) for entry in entries}
    except ValueError:
        raise
    except Exception as error:  # zipfile raises errors of many types
        raise ValueError(f"it is damaged ({type(error).__name__})") from error


def _array(content: bytes) -> np.ndarray:
    """Returns the array that a `.npy` file holds.

    Raises:
        ValueError: if it holds none.
    """
    _check_header(io.BytesIO(content), len(content))
    return np.load(io.BytesIO(content), allow_pickle=False)


def _check_header(file: IO[bytes], size: int) -> None:
    """Checks that a `.npy` file has the numbers that its header says, before memory is taken for them.

    Args:
        file: the file, at its beginning.
        size: its length in bytes.

    Raises:
        ValueError: if it has not, or holds Python objects.
    """
    try:
        shape, _, kind = _HEADERS[np.lib.format.read_magic(file)](file)
        length = math.prod(shape) * kind.itemsize
        fits = not kind.hasobject and (kind.itemsize or not math.prod(shape)) and length == size - file.tell()
    except Exception as error:  # NumPy raises errors of many types, for headers nested deeply RecursionError too
        raise ValueError(f"it holds no array ({type(error).__name__})") from error
    if not fits or min(shape, default=0) < 0:
        raise ValueError("it has not the numbers that its header says")


@contextlib.contextmanager
def opened_regular(path: str | pathlib.Path, longest: int | None = None) -> Iterator[tuple[IO[bytes], os.stat_result]]:
    """Opens a regular file of this machine inside a `with` block.

    Args:
        path: the path of the file.
        longest: the greatest length in bytes; by default any, for a file that is not read whole.

    Yields:
        The file, and its status.

    Raises:
        OSError: if it is no regular file, is longer, or cannot be read.
    """
    file = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    try:
        status = os.fstat(file)
        if stat.S_ISDIR(status.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        if longest is not None:
            _check_length(status.st_size, longest, path)
        with open(file, "rb", closefd=False) as content:
            yield content, status
    finally:
        os.close(file)


def _check_length(length: int, longest: int, path: str | pathlib.Path) -> None:
    if length > longest:
        raise OSError(errno.EFBIG, f"{length} bytes are more than {longest}", str(path))


def parse_json(text: bytes) -> Any:
    """Parses JSON that may be damaged.

    Args:
        text: the content of the file.

    Raises:
        ValueError: if it is not JSON in UTF-8, or holds a number that is not finite, which JSON has not.
    """
    try:
        return json.loads(text.decode("utf-8"), parse_constant=_finite, parse_float=_finite)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"it holds {text}, which is not finite")
    return number
