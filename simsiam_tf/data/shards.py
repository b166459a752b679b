"""Reads prepared shards: TFRecord files of plain RGB JPEGs, with an index that says what is in them.

`python -m simsiam_tf.cli.prepare` writes them. Training reads them in blocks (`block_order.py`); everything else reads
single images.
"""

import dataclasses
import hashlib
import json
import pathlib
import typing
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from simsiam_tf.config.data import DataConfig
from simsiam_tf.config.pixels import Pixels
from simsiam_tf.data.encoded import EncodedImages, SubsetImages
from simsiam_tf.data.records import FOOTER, HEADER, TFRecords, example_features
from simsiam_tf.data.unreadable import UnreadableImages
from simsiam_tf.errors import UsageError, check
from simsiam_tf.files import file_size, is_file, is_in_bucket, parse_json, printable, read_regular, user_path

INDEX, FORMAT = "index.json", "simsiam_tf shards 1"
# The features of a record that are the image, and its size in pixels.
IMAGE, HEIGHT, WIDTH = "image", "height", "width"
# The images are upright, and of plain RGB, whatever the photographs that they were made from were.
PIXELS = Pixels(exif="ignore")


@dataclasses.dataclass(frozen=True)
class Shards:
    """Holds where the images of a split are, and what is known of them.

    Attributes:
        files: the path of each shard.
        counts: the number of images in each shard, `[S] int64`.
        lengths: the length of each image's record in bytes, `[N] int64`.
        labels: the label of each image, `[N] int64`; `None` without labels.
        classes: the names of the classes, by label; empty without labels.
        names: the name of each image in the data set that the shards were made from.
    """

    files: tuple[str, ...]
    counts: np.ndarray
    lengths: np.ndarray
    labels: np.ndarray | None
    classes: tuple[str, ...]
    names: list[str]

    @property
    def where(self) -> np.ndarray:
        """Returns the file, the offset and the length of each record, `[N, 3] int64`."""
        shards = np.repeat(np.arange(len(self.counts)), self.counts)
        ends = np.cumsum(self.lengths + HEADER + FOOTER)
        before = np.concatenate([[0], ends])[np.cumsum(self.counts) - self.counts]  # bytes in the shards before
        offsets = ends - self.lengths - FOOTER - before[shards]
        return np.stack([shards, offsets, self.lengths], axis=1)

    @property
    def fingerprint(self) -> str:
        """Returns a hash of the names, lengths and classes of all images, in order."""
        labels = [-1] * len(self.names) if self.labels is None else self.labels.tolist()
        each = zip(self.names, self.lengths.tolist(), labels, strict=True)
        text = "\n".join([*(f"{name}\0{length}\0{label}" for name, length, label in each), *self.classes])
        return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:32]

    def first(self, count: int) -> "Shards":
        """Returns the first images, at most as many as there are."""
        before = np.cumsum(self.counts) - self.counts
        counts = np.clip(count - before, 0, self.counts)[before < count]
        labels = None if self.labels is None else self.labels[:count]
        files = self.files[: len(counts)]
        return Shards(files, counts, self.lengths[:count], labels, self.classes, self.names[:count])

    def as_json(self) -> dict[str, Any]:
        """Returns the description of the split for the index."""
        sizes = np.add.reduceat(self.lengths + HEADER + FOOTER, np.cumsum(self.counts) - self.counts).tolist()
        names = [pathlib.Path(file).name for file in self.files]
        shards = zip(names, self.counts.tolist(), sizes, strict=True)
        return {
            "images": len(self.lengths),
            "fingerprint": self.fingerprint,
            "classes": list(self.classes),
            "shards": [{"file": name, "images": count, "bytes": size} for name, count, size in shards],
            "labels": None if self.labels is None else self.labels.tolist(),
            "file_names": self.names,
            "lengths": self.lengths.tolist(),
        }


@typing.final
class ShardImages(EncodedImages):
    """Reads single images of shards.

    Args:
        shards: where they are.
        unreadable: the record of the split's unreadable images.
    """

    def __init__(self, shards: Shards, unreadable: UnreadableImages) -> None:
        super().__init__(len(shards.lengths), unreadable, PIXELS)
        self.shards = shards
        self._records = TFRecords(shards.files, shards.where)

    def load(self, position: int) -> bytes:
        """Reads the encoded bytes of the image at a position."""
        record = self._records[position]
        image = example_features(record, 0, len(record), {IMAGE.encode(): IMAGE}).get(IMAGE)
        if image is None:
            raise OSError("the record holds no image")
        return image

    def locate(self, position: int) -> str:
        """Returns the split and position of an image, and its name."""
        return f"{self.unreadable.source}, image {position} ({self.shards.names[position]})"

    def name(self, position: int) -> str:
        """Returns the name of an image in the data set that the shards were made from."""
        return self.shards.names[position]

    def fingerprint(self) -> str:
        """Returns a hash of the names and lengths of all images."""
        return self.shards.fingerprint


def read_index(folder: pathlib.Path) -> dict[str, Any]:
    """Reads the index of a folder of shards.

    Args:
        folder: the folder.

    Raises:
        UsageError: if it holds no index, or a damaged one.
    """
    path = folder / INDEX
    try:
        index = parse_json(read_regular(path))
        if not isinstance(index, dict) or index.get("format") != FORMAT:
            raise ValueError("it is not in this version's format")
        if not isinstance(index.get("splits"), dict):
            raise ValueError("it has no splits")
        return index
    except FileNotFoundError as error:
        raise UsageError(
            f"--data_dir must be a folder of shards with {INDEX}, which python -m simsiam_tf.cli.prepare --out makes. "
            f"Received: {printable(str(folder))}."
        ) from error
    except (OSError, ValueError) as error:
        received = f"{printable(str(path))} ({error})"
        raise UsageError(f"{INDEX} must be one that prepare wrote. Received: {received}.") from None


def open_shards(config: DataConfig, split: str) -> Shards:
    """Opens a split of a folder of shards, and makes sure that its files are there.

    Args:
        config: the settings of the data set.
        split: the name of the split: `train`, `test`, or `labelled` for images to learn labels from that are not those
            to train on.

    Raises:
        UsageError: if there is no such folder or split, or it is damaged.
    """
    check(bool(config.data_dir), "--dataset=shards needs --data_dir, the folder of the shards.", "no --data_dir")
    folder = user_path(config.data_dir)
    splits = read_index(folder)["splits"]
    if split not in splits:
        known = ", ".join(printable(name[:80]) for name in splits)
        raise UsageError(f"The shards have the splits {known}. Received: {split!r}.")
    try:
        shards, sizes = shards_in(folder, splits[split])
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        reason = printable(f"{type(error).__name__}: {str(error)[:200]}")
        raise UsageError(f"{INDEX} is damaged; make the shards again. Received: {folder} ({reason}).") from None
    _check_files(shards.files, sizes)
    return shards


def shards_of(images: EncodedImages) -> Shards:
    """Returns where the images of a source of shards are, or the first ones of such a source."""
    if isinstance(images, SubsetImages):
        return shards_of(images.whole).first(images.num_examples)
    assert isinstance(images, ShardImages)
    return images.shards


def split_names(config: DataConfig) -> tuple[str, ...]:
    """Returns the names of the splits of a folder of shards."""
    return tuple(read_index(user_path(config.data_dir))["splits"])


def shards_in(folder: pathlib.Path, split: Mapping[str, Any]) -> tuple[Shards, list[int]]:
    """Reads the description of a split, and checks that its parts agree.

    Args:
        folder: the folder of the shards.
        split: the description, as the index has it.

    Returns:
        Where the images are, and the length of each shard in bytes.

    Raises:
        ValueError: if a number or a text is not possible.
        KeyError: if a part is missing.
        TypeError: if a part is of another type.
        OverflowError: if a number is too large.
    """
    counts, sizes = (_numbers([shard[key] for shard in split["shards"]]) for key in ("images", "bytes"))
    lengths, names, classes = _numbers(split["lengths"]), split["file_names"], tuple(split["classes"])
    labels = None if split["labels"] is None else _numbers(split["labels"], least=-1)  # of an image of no class
    if not len(names) == len(lengths) == counts.sum() == (len(lengths) if labels is None else len(labels)):
        raise ValueError("its lists differ in length")
    if labels is not None and labels.max(initial=-1) >= len(classes):
        raise ValueError("a label is that of no class")
    files = [shard["file"] for shard in split["shards"]]
    texts = (*names, *classes, *files) if isinstance(names, list) and isinstance(split["classes"], list) else (None,)
    if not all(isinstance(text, str) for text in texts):
        raise ValueError("a name is no text")
    "\0".join(texts).encode("utf-8", "surrogateescape")  # which no name of a file fails at
    if any("/" in name or "\\" in name or "\0" in name or name in ("", ".", "..") for name in files):
        raise ValueError("a shard lies in another folder")
    held = np.add.reduceat(lengths + HEADER + FOOTER, np.cumsum(counts) - counts) if counts.min(initial=1) else counts
    if not np.array_equal(held, sizes):
        raise ValueError("its shards have other lengths than their records")
    return Shards(tuple(f"{folder}/{name}" for name in files), counts, lengths, labels, classes, names), sizes.tolist()


def _numbers(values: Any, least: int = 0) -> np.ndarray:
    """Returns a list of whole numbers, none of them too small, as an array."""
    if not isinstance(values, list) or any(type(value) is not int or value < least for value in values):
        raise ValueError("a number of it is none that can be")
    return np.array(values, np.int64)


def _check_files(files: Sequence[str], sizes: Sequence[int]) -> None:
    """Checks that each shard is there, and is as long as it was when it was written."""
    for file, size in zip(files, sizes, strict=True):
        try:
            found = file_size(file)
        except OSError as error:
            reason = error.strerror or "no such file"
            raise UsageError(f"A shard cannot be read ({reason}). Received: {printable(file)}.") from error
        is_whole = found == size and (is_in_bucket(file) or is_file(file))  # not a pipe, which is empty and never ends
        check(is_whole, f"A shard must have the {size} bytes that it was written with.", f"{found} in {file}")


def dump_index(index: Mapping[str, Any]) -> str:
    """Returns the text of an index. File names that are not UTF-8 are kept."""
    return json.dumps(index, separators=(",", ":")) + "\n"
