"""Reads the records of TFDS' files, TFRecord or ArrayRecord, in any order."""

import contextlib
import mmap
import os
import pathlib
import struct
import threading
import typing
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from simsiam_tf.errors import UsageError, check
from simsiam_tf.files import is_in_bucket, read_range, read_regular

# A record of a TFRecord file is: the data's length (8 bytes), the length's checksum (4), the data, its checksum (4).
HEADER, FOOTER = 12, 4
# Of the encoding of protocol buffers: the type of a field with a length, and the fields of a `tf.train.Feature`.
_LENGTH_DELIMITED, _BYTES_LIST, _INT64_LIST = 2, 1, 3


class Records(typing.Protocol):
    """Gives the bytes of records by their position."""

    def __len__(self) -> int: ...

    def __getitem__(self, position: int) -> bytes: ...


class TFRecords:
    """Reads records of TFRecord files.

    Args:
        paths: the paths of the files.
        where: the file, the offset and the length of each record, `[N, 3] int64`.
    """

    def __init__(self, paths: Sequence[str], where: np.ndarray) -> None:
        self._paths, self._where = list(paths), where

    def __len__(self) -> int:
        return len(self._where)

    def __getitem__(self, position: int) -> bytes:
        number, offset, length = self._where[position]
        return read_range(self._paths[number], int(offset), int(length))


class _ArrayRecords:
    """Reads records of ArrayRecord files, one thread at a time."""

    def __init__(self, parts: Sequence[Any]) -> None:
        from array_record.python.array_record_data_source import ArrayRecordDataSource

        self._source, self._lock = ArrayRecordDataSource(parts), threading.Lock()

    def __len__(self) -> int:
        return len(self._source)

    def __getitem__(self, position: int) -> bytes:
        if position >= len(self):
            raise IndexError(position)
        with self._lock:
            return self._source[int(position)]


def is_tfrecord(builder: Any, split: str) -> bool:
    """Returns whether a split is stored as TFRecord files, and not as ArrayRecord files.

    Raises:
        UsageError: if it is stored as neither.
    """
    names = [pathlib.Path(str(part.filename)).name for part in builder.info.splits[split].file_instructions]
    if all("tfrecord" in name for name in names):
        return True
    if all("array_record" in name for name in names):
        return False
    raise UsageError(f"{builder.info.name} must be prepared as TFRecord or ArrayRecord files. Received: {names[0]}.")


def open_array_records(builder: Any, split: str) -> Records:
    """Opens the records of a split that is stored as ArrayRecord files.

    Raises:
        UsageError: if they are in a bucket.
    """
    check(
        not is_in_bucket(str(builder.data_path)),
        "A set in a bucket must be prepared as TFRecord files; ArrayRecord files are read from this machine alone.",
        str(builder.data_path),
    )
    return _ArrayRecords(builder.info.splits[split].file_instructions)


def scan(parts: Sequence[Any], names: Sequence[str]) -> tuple[np.ndarray, list[dict[str, Any]]]:
    """Finds the records of TFRecord files, and reads some small features of each. Nothing else is read.

    Args:
        parts: the files of a split, as TFDS' file instructions. A slice such as train[10%:] uses a part of some files.
        names: the names of the features to read.

    Returns:
        The file, the offset and the length of each record, `[N, 3] int64`; and the features of each record by name,
        bytes or whole numbers.
    """
    where, features = [], []
    wanted = {name.encode(): name for name in names}
    for number, part in enumerate(parts):
        stop = None if part.take < 0 else part.skip + part.take
        with _mapped(str(part.filename)) as content:
            for offset, length in _positions(content)[part.skip : stop]:
                where.append((number, offset, length))
                if wanted:
                    features.append(example_features(content, offset, offset + length, wanted))
    return np.array(where, np.int64).reshape(-1, 3), features


def record_positions(path: str) -> list[tuple[int, int]]:
    """Finds the offset and length, in bytes, of each record's data in a TFRecord file; reads only the headers."""
    with _mapped(path) as content:
        return _positions(content)


@contextlib.contextmanager
def _mapped(path: str) -> Iterator[Any]:
    """Maps a file into memory, of which only what is looked at is read. A file in a bucket is read whole."""
    if is_in_bucket(path):
        yield read_regular(path)
        return
    with open(path, "rb") as file:
        if os.fstat(file.fileno()).st_size == 0:  # it cannot be mapped
            yield b""
            return
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            yield content


def _positions(content: Any) -> list[tuple[int, int]]:
    positions, offset, end = [], 0, len(content)
    while offset + HEADER <= end:
        (length,) = struct.unpack_from("<Q", content, offset)
        positions.append((offset + HEADER, length))
        offset += HEADER + length + FOOTER
    return positions


def example_features(content: Any, start: int, stop: int, wanted: Mapping[bytes, str]) -> dict[str, Any]:
    """Reads some features of a serialised `tf.train.Example`, and skips the others without reading them.

    Args:
        content: bytes, or a mapped file.
        start: the position of the first byte of the example.
        stop: the position after its last byte.
        wanted: the names of the features, by their bytes.

    Returns:
        The first value of each feature that is found, by name: bytes, or a whole number.
    """
    found: dict[str, Any] = {}
    for _, first, last in _messages(content, start, stop):  # the features of the example
        for _, entry, entry_end in _messages(content, first, last):  # a name and a feature
            name, feature = b"", None
            for field, value, value_end in _messages(content, entry, entry_end):
                if field == 1:
                    name = bytes(content[value:value_end])
                else:
                    feature = value, value_end
            if name in wanted and feature is not None:
                found[wanted[name]] = _first_value(content, *feature)
    return found


def _first_value(content: Any, start: int, stop: int) -> Any:
    """Returns the first value of a `tf.train.Feature`; `None` if it has none, or none of bytes or whole numbers."""
    for kind, first, last in _messages(content, start, stop):
        if kind == _BYTES_LIST:
            for _, value, value_end in _messages(content, first, last):
                return bytes(content[value:value_end])
        if kind == _INT64_LIST and first < last:
            tag, at = _varint(content, first)
            if tag & 7 == _LENGTH_DELIMITED:  # packed
                _, at = _varint(content, at)
            value, _ = _varint(content, at)
            return value - (1 << 64) if value >> 63 else value
    return None


def _messages(content: Any, start: int, stop: int) -> Iterator[tuple[int, int, int]]:
    """Yields the number, the start and the end of each field of a message, all of which have a length."""
    at = start
    while at < stop:
        tag, at = _varint(content, at)
        if tag & 7 != _LENGTH_DELIMITED:
            raise ValueError("no tf.train.Example")
        length, at = _varint(content, at)
        yield tag >> 3, at, at + length
        at += length


def _varint(content: Any, at: int) -> tuple[int, int]:
    """Reads a whole number of seven bits a byte; returns it and the position after it."""
    byte = content[at]
    if byte < 128:
        return byte, at + 1
    value, shift = 0, 0
    while byte >= 128:
        value |= (byte & 127) << shift
        shift, at = shift + 7, at + 1
        byte = content[at]
    return value | byte << shift, at + 1
