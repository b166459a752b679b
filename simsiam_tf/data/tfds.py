"""Reads data sets of TensorFlow Datasets (TFDS): small ones into memory, large ones record by record."""

import pathlib
import struct
import typing
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from simsiam_tf.config.data import DataConfig
from simsiam_tf.data.encoded import EncodedImages
from simsiam_tf.data.unreadable import UnreadableImages
from simsiam_tf.errors import UsageError
from simsiam_tf.files import expand

# A record of a TFRecord file is: the data's length (8 bytes), the length's checksum (4), the data, its checksum (4).
_HEADER, _FOOTER = 12, 4
# A TFDS builder. Its real type would need the slow import of TFDS.
Builder = Any


@typing.final
class RecordImages(EncodedImages):
    """Reads the images in the TFRecord files of a TFDS split, in any order.

    Args:
        builder: the TFDS builder of a data set that is prepared.
        split: the name of the split, or a slice such as `train[10%:]`.
        names: the file name of each image; `None` names images by their positions.
        unreadable: the record of the split's unreadable images.

    Raises:
        UsageError: if the data set is not stored as TFRecord files.
    """

    def __init__(self, builder: Builder, split: str, names: Sequence[str] | None, unreadable: UnreadableImages):
        # A slice such as train[10%:] uses only a part of some files; `skip` and `take` count examples.
        parts = builder.info.splits[split].file_instructions
        self._paths = [str(part.filename) for part in parts]
        if not all("tfrecord" in pathlib.Path(path).name for path in self._paths):
            raise UsageError(
                f"{builder.info.name} must be prepared as TFRecord files. "
                f"Received: {pathlib.Path(self._paths[0]).name}."
            )
        where: list[tuple[int, int, int]] = []
        for number, part in enumerate(parts):
            stop = None if part.take < 0 else part.skip + part.take
            where += [(number, *position) for position in record_positions(self._paths[number])[part.skip : stop]]
        super().__init__(len(where), unreadable)
        self._where = np.array(where, np.int64)  # [N, 3]: file, offset, length
        self._names = names
        self._full_name = builder.info.full_name

    def load(self, position: int) -> bytes:
        """Reads the encoded bytes of the image at a position."""
        number, offset, length = self._where[position]
        with open(self._paths[number], "rb") as file:
            file.seek(offset)
            example = tf.train.Example.FromString(file.read(length))
        return example.features.feature["image"].bytes_list.value[0]

    def locate(self, position: int) -> str:
        """Returns the split and position of an image."""
        return f"{self.unreadable.source}, example {position}"

    def name(self, position: int) -> str:
        """Returns the file name of an image, or its position if the data set has no file names."""
        return str(position) if self._names is None else self._names[position]

    def fingerprint(self) -> str:
        """Returns the full name of the data set, which includes its version."""
        return self._full_name


def open_builder(config: DataConfig) -> Builder:
    """Opens the TFDS builder of a data set, and prepares the data set first if `--download` allows it.

    Args:
        config: the settings of the data set.

    Raises:
        UsageError: if TFDS does not know the data set, if it is missing and may not be downloaded, if preparing it
            fails, or if it has no images.
    """
    import tensorflow_datasets as tfds  # a slow import that only TFDS users should wait for

    data_dir = expand(config.data_dir) if config.data_dir else None
    if data_dir is not None and not pathlib.Path(data_dir).is_dir():
        raise UsageError(f"--data_dir must be an existing directory. Received: {data_dir}.")
    try:
        builder = tfds.builder(config.dataset, data_dir=data_dir)
    except (tfds.core.DatasetNotFoundError, ValueError, ImportError) as error:
        raise UsageError(
            f"--dataset must be a name in TensorFlow Datasets, 'folder' or 'shapes'. Received: {config.dataset!r}."
        ) from error
    if not builder.data_path.exists():
        if not config.download:
            raise UsageError(
                f"The data set {config.dataset} is not in {pathlib.Path(builder.data_path).parents[1]}; "
                "add --download to fetch it there, or name its TFDS directory by --data_dir. "
                f"Received: {config.data_dir or 'no --data_dir'}."
            )
        try:
            builder.download_and_prepare()
        except Exception as error:  # a download or a preparation may raise anything
            reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise UsageError(f"The data set {config.dataset} could not be prepared: {reason}") from error
    if "image" not in builder.info.features:
        raise UsageError(
            f"The data set {config.dataset} has no feature 'image'. Received: {', '.join(builder.info.features)}."
        )
    return builder


def num_classes(builder: Builder) -> int:
    """Returns K, the number of classes; 0 if the examples have no label."""
    features = builder.info.features
    return getattr(features["label"], "num_classes", None) or 0 if "label" in features else 0


def _to_rgb(image: tf.Tensor) -> tf.Tensor:
    """Converts an image to RGB: repeats a single grey channel, and drops channels after the third."""
    image = tf.cast(image, tf.uint8)
    return tf.image.grayscale_to_rgb(image) if image.shape[-1] == 1 else image[..., :3]


def read_all(builder: Builder, split: str) -> tuple[np.ndarray, np.ndarray | None]:
    """Reads a split of images of one size into memory.

    Args:
        builder: the TFDS builder of a data set that is prepared.
        split: the name of the split, or a slice such as `train[10%:]`.

    Returns:
        The images, `[N, H, W, 3] uint8`, and their labels, `[N] int64` or `None`.
    """
    labelled = num_classes(builder) > 0
    dataset = builder.as_dataset(split=split, shuffle_files=False)
    dataset = dataset.map(
        lambda example: (_to_rgb(example["image"]), example["label"] if labelled else tf.constant(-1, tf.int64)),
        num_parallel_calls=tf.data.AUTOTUNE,
    )
    parts = list(dataset.batch(1024).as_numpy_iterator())
    images, labels = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    return images, _real_labels(labels)


def _real_labels(labels: np.ndarray) -> np.ndarray | None:
    """Returns labels `[N] int64`; `None` if some are negative, by which TFDS marks a split without labels."""
    return labels.astype(np.int64) if len(labels) and labels.min() >= 0 else None


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


def open_records(builder: Builder, split: str, unreadable: UnreadableImages) -> tuple[RecordImages, np.ndarray | None]:
    """Opens a split that is too large for memory, or whose images differ in size.

    Args:
        builder: the TFDS builder of a data set that is prepared.
        split: the name of the split, or a slice such as `train[10%:]`.
        unreadable: the record of the split's unreadable images.

    Returns:
        The images, and their labels, `[N] int64` or `None`.

    Raises:
        UsageError: if the data set is not stored as TFRecord files.
    """
    labels, names = _labels_and_names(builder, split) if num_classes(builder) > 0 else (None, None)
    return RecordImages(builder, split, names, unreadable), labels


def _labels_and_names(builder: Builder, split: str) -> tuple[np.ndarray | None, list[str] | None]:
    """Reads the labels `[N] int64` and the file names of a split without decoding its images.

    Each of the two is `None` if the data set lacks it.
    """
    import tensorflow_datasets as tfds

    named = "file_name" in builder.info.features
    dataset = builder.as_dataset(
        split=split,
        shuffle_files=False,
        decoders={"image": tfds.decode.SkipDecoding()},
        read_config=tfds.ReadConfig(interleave_cycle_length=1),
    )
    rows = [
        (example["label"], example["file_name"].decode() if named else "") for example in dataset.as_numpy_iterator()
    ]
    labels = _real_labels(np.array([label for label, _ in rows], np.int64))
    return labels, [name for _, name in rows] if named else None
