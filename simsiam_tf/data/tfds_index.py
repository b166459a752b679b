"""Finds the records, labels and file names of a TFDS split once, and keeps them in an index."""

import dataclasses
import functools
import hashlib
import pathlib
import re
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from simsiam_tf.config.data import DataConfig
from simsiam_tf.data.features import Feature, feature_at, paths, value_at
from simsiam_tf.data.index import kept, packed, unpacked
from simsiam_tf.data.records import Records, TFRecords, example_features, is_tfrecord, open_array_records, scan
from simsiam_tf.files import as_path, size_of_file


@dataclasses.dataclass(frozen=True)
class Found:
    """Holds what was found out about a split.

    Attributes:
        records: its records.
        labels: the value of each example's label, `[N]`, as TFDS gives it; `None` without labels.
        names: the file name of each image; `None` if images have no names, or no labels.
    """

    records: Records
    labels: np.ndarray | None
    names: list[str] | None


def find_records(builder: Any, split: str, config: DataConfig, label: str, feature: Feature | None) -> Found:
    """Finds the records, labels and file names of a split. No image is decoded, or kept in memory.

    Args:
        builder: the TFDS builder of a data set that is prepared.
        split: the name of the split, or a slice such as `train[10%:]`.
        config: the settings of the data set.
        label: the path of the label among the features.
        feature: the feature of the label; `None` leaves labels and names out.

    Raises:
        UsageError: if the data set is stored neither as TFRecord files nor as ArrayRecord files.
    """
    folder = as_path(str(builder.data_path))
    wanted = [label] if feature is not None else []
    if wanted and "file_name" in builder.info.features:
        wanted.append("file_name")
    name = re.sub(r"[^A-Za-z0-9_-]+", "_", f"{split}-{label}")
    name = f"{name[:80]}-{zlib.crc32(f'{split}:{wanted}'.encode()):08x}"
    stamp = stamp_of(builder, folder, split)
    files = [str(part.filename) for part in builder.info.splits[split].file_instructions]
    fits = functools.partial(_fits, is_labelled=feature is not None, sizes=list(map(size_of_file, files)))
    arrays = kept(name, folder, config, stamp, lambda: _find(builder, split, wanted, feature), fits)
    records = TFRecords(files, arrays["where"]) if "where" in arrays else open_array_records(builder, split)
    return Found(records, arrays.get("labels"), unpacked(arrays["names"]) if "names" in arrays else None)


def _fits(arrays: dict[str, np.ndarray], is_labelled: bool, sizes: list[int]) -> bool:
    """Returns whether arrays of an index lead to records within files of these sizes, each with its label and name."""
    counts = {len(arrays["labels"])} if is_labelled else set()
    if "where" in arrays:
        where = arrays["where"]
        counts.add(len(where))
        if where.dtype != np.int64 or where.ndim != 2 or where.shape[1] != 3 or where.min(initial=0) < 0:
            return False
        file, offset, length = where.T
        if file.max(initial=-1) >= len(sizes) or (length > np.array(sizes)[file] - offset).any():
            return False
    if "names" in arrays:
        counts.add(len(unpacked(arrays["names"])))
    return len(counts) <= 1


def stamp_of(builder: Any, folder: pathlib.Path, split: str) -> dict[str, Any]:
    """Returns what tells the files of a split from others, and from changed ones."""
    parts = builder.info.splits[split].file_instructions
    files = [[pathlib.Path(str(p.filename)).name, p.skip, p.take, size_of_file(str(p.filename))] for p in parts]
    info = folder / "dataset_info.json"
    return {"info": hashlib.sha256(info.read_bytes()).hexdigest() if info.is_file() else "", "files": files}


def _find(builder: Any, split: str, wanted: list[str], feature: Feature | None) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {}
    features: list[dict[str, Any]] = []
    if is_tfrecord(builder, split):
        parts, is_plain = builder.info.splits[split].file_instructions, _is_plain(feature)
        found["where"], features = scan(parts, wanted if is_plain else [])
        features = features if is_plain else list(_streamed(builder, split, wanted))
    elif wanted:
        records, by_name = open_array_records(builder, split), {name.encode(): name for name in wanted}
        contents = (records[i] for i in range(len(records)))
        features = [example_features(content, 0, len(content), by_name) for content in contents]
    if feature is not None:
        labels = np.array([values[wanted[0]] for values in features])
        found["labels"] = labels if labels.dtype.kind == "S" else labels.astype(feature.np_dtype)
    if len(wanted) > 1:
        found["names"] = packed([values["file_name"].decode("utf-8", "surrogateescape") for values in features])
    return found


def _is_plain(label: Feature | None) -> bool:
    """Returns whether records hold the label as it is, so that TFDS need not decode it."""
    encoding = getattr(label, "_encoding", None)
    return encoding is None or str(getattr(encoding, "value", encoding)).lower() == "none"


def _streamed(builder: Any, split: str, wanted: list[str]) -> Iterator[dict[str, Any]]:
    """Gives some features of each example by name, as TFDS decodes them."""
    import tensorflow_datasets as tfds

    features = builder.info.features
    images = [path for path in paths(features) if isinstance(feature_at(features, path), tfds.features.Image)]
    decoders: dict[str, Any] = {}
    for path in images:
        *above, last = path.split("/")
        place = decoders
        for part in above:
            place = place.setdefault(part, {})
        place[last] = tfds.decode.SkipDecoding()
    read_config = tfds.ReadConfig(interleave_cycle_length=1)
    dataset = builder.as_dataset(split=split, shuffle_files=False, decoders=decoders, read_config=read_config)
    for example in dataset.as_numpy_iterator():
        yield {name: value_at(example, name) for name in wanted}
