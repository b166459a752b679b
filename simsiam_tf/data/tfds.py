"""TensorFlow Datasets: small sets into memory, large ones record by record, in any order."""

import pathlib
import struct

import numpy as np
import tensorflow as tf

from simsiam_tf.config.data import DataConfig
from simsiam_tf.errors import UsageError
from simsiam_tf.files import expand

# A TFRecord is: length (8 bytes), checksum of it (4), data, checksum of that (4).
_HEADER, _FOOTER = 12, 4


def open_builder(config: DataConfig):
    """The TFDS builder of a prepared data set.

    Raises:
        UsageError: if the name is unknown, or the data set is not there and may not be fetched.
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
        except Exception as error:  # whatever a download or a manual set's preparation raises
            reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise UsageError(f"The data set {config.dataset} could not be prepared: {reason}") from error
    if "image" not in builder.info.features:
        raise UsageError(
            f"The data set {config.dataset} has no feature 'image'. Received: {', '.join(builder.info.features)}."
        )
    return builder


def num_classes(builder) -> int:
    """K, or 0 where the examples carry no label."""
    features = builder.info.features
    return getattr(features["label"], "num_classes", None) or 0 if "label" in features else 0


def _to_rgb(image):
    image = tf.cast(image, tf.uint8)
    return tf.image.grayscale_to_rgb(image) if image.shape[-1] == 1 else image[..., :3]


def read_all(builder, split: str) -> tuple[np.ndarray, np.ndarray | None]:
    """All images `[N, H, W, 3] uint8` and labels `[N] int64` of a split of images of one size."""
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
    """Labels `[N] int64`; `None` where TFDS marks the split as unlabelled by negative ones."""
    return labels.astype(np.int64) if len(labels) and labels.min() >= 0 else None


def record_positions(path: str) -> list[tuple[int, int]]:
    """Offset and length of each record's data in a TFRecord file, by reading the headers alone."""
    positions, offset = [], 0
    with open(path, "rb") as file:
        while len(header := file.read(_HEADER)) == _HEADER:
            (length,) = struct.unpack("<Q", header[:8])
            positions.append((offset + _HEADER, length))
            offset += _HEADER + length + _FOOTER
            file.seek(offset)
    return positions


def random_access(builder, split: str):
    """Reads single examples of a split that is too large, or too uneven, for memory.

    Returns:
        Labels `[N] int64` or `None`, the files' names or `None`, and a function from a position to the encoded image.

    Raises:
        UsageError: if the data set is not stored as TFRecord files.
    """
    # A split like train[10%:] takes a part of some files: skip and take are in examples.
    parts = builder.info.splits[split].file_instructions
    paths = [str(part.filename) for part in parts]
    if not all("tfrecord" in pathlib.Path(path).name for path in paths):
        raise UsageError(
            f"{builder.info.name} must be prepared as TFRecord files. Received: {pathlib.Path(paths[0]).name}."
        )
    where = []
    for number, part in enumerate(parts):
        stop = None if part.take < 0 else part.skip + part.take
        where += [(number, *position) for position in record_positions(paths[number])[part.skip : stop]]
    table = np.array(where, np.int64)  # [N, 3]: file, offset, length

    def load(index):
        number, offset, length = table[index]
        with open(paths[number], "rb") as file:
            file.seek(offset)
            example = tf.train.Example.FromString(file.read(length))
        return example.features.feature["image"].bytes_list.value[0]

    features, labels, names = builder.info.features, None, None
    named = "file_name" in features
    if num_classes(builder) > 0:
        import tensorflow_datasets as tfds

        skip = {"image": tfds.decode.SkipDecoding()}
        dataset = builder.as_dataset(
            split=split, shuffle_files=False, decoders=skip, read_config=tfds.ReadConfig(interleave_cycle_length=1)
        )
        rows = [
            (example["label"], example["file_name"].decode() if named else "")
            for example in dataset.as_numpy_iterator()
        ]
        labels = _real_labels(np.array([label for label, _ in rows], np.int64))
        names = [name for _, name in rows] if named else None
    return labels, names, load
