"""Keeps TensorFlow Datasets (TFDS) from running code that comes with data."""

import glob
import pathlib
import re
from typing import Any

from simsiam_tf.errors import UsageError, check
from simsiam_tf.files import as_path, parse_json, printable, read_regular

# No features.json is longer, in bytes.
_LONGEST_FEATURES = 64 << 20


def check_harmless(dataset: str, data_dir: str) -> None:
    """Checks that TFDS will run no code that it was not installed with.

    For a name behind that of a community, TFDS downloads code. For a prepared data set, it imports each module that
    features.json names, a file that comes with the data.

    Args:
        dataset: the name of the data set, as the user typed it.
        data_dir: the folder in which TFDS looks for it.

    Raises:
        UsageError: if it would.
    """
    name, _, behind = dataset.partition("/")[0].partition(":")
    check(
        not behind or behind[0].isdigit() or behind[0] == "*",
        "--dataset must be a set of TensorFlow Datasets itself; for those of communities it would run downloaded code.",
        dataset,
    )
    # TFDS takes Cifar10 for cifar10.
    names = {name, re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()} - {""}
    for pattern in (f"{glob.escape(name)}/{depth}/features.json" for name in names for depth in ("*", "*/*")):
        for file in as_path(data_dir).glob(pattern):
            foreign = _foreign_classes(_read(file))
            check(
                not foreign,
                "A prepared data set must have features of TFDS itself, because others run code; prepare it again.",
                f"{', '.join(printable(name[:80]) for name in foreign[:3])} in {file}",
            )


def _read(file: pathlib.Path) -> Any:
    try:
        return parse_json(read_regular(file, _LONGEST_FEATURES))
    except (OSError, ValueError) as error:
        raise UsageError(f"features.json of a data set must be one of TFDS ({error}). Received: {file}.") from error


def _foreign_classes(part: Any) -> list[str]:
    """Lists the classes in features.json that are not of TFDS."""
    if isinstance(part, list):
        return [name for item in part for name in _foreign_classes(item)]
    if not isinstance(part, dict):
        return []
    found = [
        str(part[key]) for key in ("pythonClassName", "python_class_name", "type") if isinstance(part.get(key), str)
    ]
    found = [name for name in found if "." in name and not name.startswith("tensorflow_datasets.")]
    return [*found, *(name for item in part.values() for name in _foreign_classes(item))]
