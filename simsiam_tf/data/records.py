"""Reads the records of TFDS' files, TFRecord or ArrayRecord, in any order."""

import pathlib
import struct
import threading
import typing
from collections.abc import Sequence
from typing import Any

import numpy as np

from simsiam_tf.errors import UsageError

# A record of a TFRecord file is: the data's length (8 bytes), the length's checksum (4), the data, its checksum (4).
_HEADER, _FOOTER = 12, 4


class Records(typing.Protocol):
    """Gives the bytes of records by their position."""

    def __len__(self) -> int: ...

    def __getitem__(self, position: int) -> bytes: ...


class _TFRecords:
    """Reads records of TFRecord files.

    A slice of a split such as train[10%:] uses only a part of some files.
    """

    def __init__(self, parts: Sequence[Any]) -> None:
        self._paths = [str(part.filename) for part in parts]
        where: list[tuple[int, int, int]] = []
        for number, part in enumerate(parts):
            stop = None if part.take < 0 else part.skip + part.take
            where += [(number, *position) for position in record_positions(self._paths[number])[part.skip : stop]]
        self._where = np.array(where, np.int64).reshape(-1, 3)  # [N, 3]: file, offset, length

    def __len__(self) -> int:
        return len(self._where)

    def __getitem__(self, position: int) -> bytes:
        number, offset, length = self._where[position]
        with open(self._paths[number], "rb") as file:
            file.seek(offset)
            return file.read(length)


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


def open_records(builder: Any, split: str) -> Records:
    """Opens the records of a split.

    Raises:
        UsageError: if the data set is stored neither as TFRecord files nor as ArrayRecord files.
    """
    parts = builder.info.splits[split].file_instructions
    names = [pathlib.Path(str(part.filename)).name for part in parts]
    if all("tfrecord" in name for name in names):
        return _TFRecords(parts)
    if all("array_record" in name for name in names):
        return _ArrayRecords(parts)
    raise UsageError(f"{builder.info.name} must be prepared as TFRecord or ArrayRecord files. Received: {names[0]}.")


def record_positions(path: str) -> list[tuple[int, int]]:
    """Finds the offset and length, in bytes, of each record's data in a TFRecord file; reads only the headers."""
    positions, offset = [], 0
    with open(path, "rb") as file:
        while len(header := file.read(_HEADER)) == _HEADER:
            (length,) = struct.unpack("<Q", header[:8])
            positions.append((offset + _HEADER, length))
            offset += _HEADER + length + _FOOTER
            file.seek(offset)
    return positions
