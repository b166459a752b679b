"""Writes one shard, whole or not at all, with a record of what is in it."""

import dataclasses
import itertools
import os
import pathlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import tensorflow as tf

from simsiam_tf.data import decoding
from simsiam_tf.data.shards import HEIGHT, IMAGE, WIDTH
from simsiam_tf.data.sources import Source
from simsiam_tf.errors import UsageError
from simsiam_tf.files import (
    is_refusal,
    parse_json,
    plain_path,
    printable,
    read_regular,
    replacing,
    size_of_file,
    write_json,
)
from simsiam_tf.preparation.jpeg import PlainJpeg

# So many images are being converted, or wait to be written, at a time.
_AHEAD = 64


@dataclasses.dataclass(frozen=True)
class ShardRecord:
    """Holds what is in a shard.

    Attributes:
        positions: the position of each image in its source.
        lengths: the length of each record in bytes.
        left_out: the name of each image that could not be read, and the reason.
        size: the length of the file in bytes.
    """

    positions: list[int]
    lengths: list[int]
    left_out: list[tuple[str, str]]
    size: int


def write_shard(
    path: pathlib.Path,
    source: Source,
    positions: range,
    convert: Callable[[bytes], PlainJpeg],
    count: Callable[[int], None],
) -> ShardRecord:
    """Writes the images at some positions to a shard. Images that cannot be read are left out.

    Args:
        path: the path of the shard.
        source: the images.
        positions: the positions of the images.
        convert: a function that makes a plain JPEG of the content of an image file.
        count: a function that is told how many images are done.

    Returns:
        What is in the shard.

    Raises:
        UsageError: if the meaning of an image's values is not known.
    """
    files = source.files
    assert files is not None
    kept, lengths, left_out = [], [], []

    def converted(position: int) -> PlainJpeg | Exception:
        try:
            return convert(files.load(position))
        except UsageError as error:
            return type(error)(f"{str(error).rstrip('.')}, in {printable(files.locate(position))}.")
        except Exception as error:  # Pillow raises errors of many types for broken files
            if is_refusal(error):
                raise
            return error

    with replacing(path) as draft:
        with tf.io.TFRecordWriter(str(plain_path(draft.parent) / draft.name)) as writer:
            for position, image in zip(positions, _in_order(converted, positions), strict=True):
                if isinstance(image, UsageError):
                    raise image
                if isinstance(image, Exception):
                    reason = " ".join(str(image).split()) or type(image).__name__
                    left_out.append((source.name_of(position), reason))
                else:
                    record = _example(source, position, image)
                    writer.write(record)
                    kept.append(position)
                    lengths.append(len(record))
                count(1)
        with draft.open("rb") as file:
            os.fsync(file.fileno())
            size = os.fstat(file.fileno()).st_size
    return ShardRecord(kept, lengths, left_out, size)


def keep_record(path: pathlib.Path, record: ShardRecord) -> None:
    """Writes the record of a shard, after the shard itself."""
    write_json(path, dataclasses.asdict(record))


def kept_record(path: pathlib.Path, shard: pathlib.Path) -> ShardRecord | None:
    """Reads the record of a shard that was written before; `None` if the shard must be written again."""
    try:
        held: Any = parse_json(read_regular(path))
        record = ShardRecord(held["positions"], held["lengths"], [tuple(x) for x in held["left_out"]], held["size"])
        return record if size_of_file(shard) == record.size else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _example(source: Source, position: int, image: PlainJpeg) -> bytes:
    """Returns the record of an image: its JPEG, its size, its name, and its label if there are any."""
    name = source.name_of(position).encode("utf-8", "surrogateescape")
    texts, numbers = {IMAGE: image.data, "file_name": name}, {HEIGHT: image.height, WIDTH: image.width}
    if source.labels is not None:
        numbers["label"] = int(source.labels[position])
    features = {key: tf.train.Feature(bytes_list=tf.train.BytesList(value=[text])) for key, text in texts.items()}
    for key, number in numbers.items():
        features[key] = tf.train.Feature(int64_list=tf.train.Int64List(value=[number]))
    example = tf.train.Example(features=tf.train.Features(feature=features))
    return example.SerializeToString(deterministic=True)


def _in_order(function: Callable[[int], Any], positions: Iterable[int]) -> Iterator[Any]:
    """Gives the results of a function for each position, in order, from all threads, and not too far ahead."""
    waiting, rest = [], iter(positions)
    for position in itertools.islice(rest, _AHEAD):
        waiting.append(decoding.threads().submit(function, position))
    while waiting:
        yield waiting.pop(0).result()
        waiting += [decoding.threads().submit(function, position) for position in itertools.islice(rest, 1)]
