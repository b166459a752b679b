"""Reads the files of a run, which may be damaged or of the wrong kind."""

import math
import os
import pathlib
import sys
from collections.abc import Iterable
from typing import Any

from simsiam_tf.errors import UsageError
from simsiam_tf.files import is_file, is_folder, is_in_bucket, parse_json, read_regular

# What config.json says of the command in a run of transfer.py; other runs say nothing.
OF_TRANSFER = "transfer.py"
# The files and the folders that training reads or writes in the folder of a run.
OF_TRAINING = (
    *("config.json", "metrics.jsonl", "summary.json", "skipped.txt", "holdout.json", "tracked.json", ".lock"),
    *("checkpoints", "tensorboard", "bad_step"),
)
# Those that an evaluation reads or writes.
OF_EVALUATION = (
    *("config.json", "metrics.jsonl", "summary.json", "skipped.txt", "holdout.json", "diagnostics.json", "report.html"),
    "detections.json",
    *("checkpoints", "features", "probes", "classifiers", "finetune", "embeddings", "neighbours", "did_it_help"),
)
# Those of them that are folders.
FOLDERS = {"tensorboard", "checkpoints", "features", "probes", "classifiers", "finetune", "embeddings", "neighbours"}
FOLDERS |= {"did_it_help", "bad_step"}
# The types of what a resumed run reads from config.json beside its settings.
_TYPES: dict[str, type] = {
    **dict.fromkeys(("steps_per_epoch", "training_images", "images", "trained_on"), int),
    **{"fingerprint": str, "classes": list},
}
# No number of a record is greater: a float has no greater value, and JSON's whole numbers have no bound.
_GREATEST = sys.float_info.max
# The texts of a record of summary.json.
_TEXTS = ("protocol", "over", "reason", "of", "unit", "checkpoint")
# The one text in a line of metrics.jsonl: how the run was doing.
STATE = "state"
# The loss that a run began with, by which a resumed run tells whether the loss has fallen.
FIRST_LOSS = "first_loss"
# The numbers in a line of metrics.jsonl that a resumed run needs.
TO_RESUME = frozenset({"epoch", "step", "wall_seconds"})


def check_kinds(root: pathlib.Path, names: Iterable[str]) -> None:
    """Checks that files are files, and folders folders, before hours of work need them.

    Args:
        root: the folder of a run.
        names: the names of its files and folders; those that do not exist are possible.

    Raises:
        UsageError: if one of them is of another kind.
    """
    if is_in_bucket(root):  # where no name stands in the way of another
        return
    for name in names:
        path = root / name
        kind, fits = ("folder", is_folder(path)) if name in FOLDERS else ("file", is_file(path))
        if os.path.exists(path) and not fits:
            raise UsageError(
                f"{name} in --workdir must be a {kind}; move what is there away, or give another folder. "
                f"Received: {path}."
            )


def read_json(path: pathlib.Path) -> Any:
    """Reads a JSON file.

    Args:
        path: the path of the file.

    Raises:
        OSError: if it cannot be read, or is a pipe or a device.
        ValueError: if it does not hold JSON in UTF-8.
    """
    return parse_json(read_regular(path))


def read_part(path: pathlib.Path, name: str) -> dict[str, Any] | None:
    """Reads a record of config.json beside the settings; returns `None` if there is none.

    Args:
        path: the path of config.json.
        name: the key of the record.

    Raises:
        UsageError: if it is not as train.py writes it.
    """
    try:
        part = read_json(path).get(name)
        if not (part is None or isinstance(part, dict)) or not all(map(_is_as_written, (part or {}).items())):
            raise ValueError(f"its {name!r} is damaged")
    except FileNotFoundError:
        return None
    except (OSError, ValueError, AttributeError) as error:
        raise UsageError(f"config.json must be one that train.py wrote. Received: {path} ({error}).") from error
    return part


def _is_as_written(item: tuple[str, Any]) -> bool:
    """Returns whether a value has the type that train.py writes, and a count is positive."""
    name, value = item
    kind = _TYPES.get(name)
    if kind is list:
        return isinstance(value, list) and all(isinstance(part, str) for part in value)
    if kind is int:
        return type(value) is int and value > 0
    return kind is None or type(value) is kind


def read_summary(path: pathlib.Path) -> dict[str, Any]:
    """Reads the records of summary.json; there are none if the file does not exist.

    Args:
        path: the path of the file.

    Raises:
        UsageError: if it holds anything else than records.
    """
    try:
        content = read_json(path)
        if not isinstance(content, dict) or not all(map(_is_record, content.values())):
            raise ValueError("it does not hold records")
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise UsageError(
            "summary.json must be one that train.py wrote; move it away, and the run's command of train.py makes the "
            f"records of training anew. Received: {path} ({error})."
        ) from error
    return content


def _is_record(record: Any) -> bool:
    """Returns whether a record of summary.json has a value, and its texts and seconds are texts and numbers."""
    if not isinstance(record, dict) or "value" not in record:
        return False
    numbers = [record["value"]] if type(record["value"]) in (int, float) else []
    seconds = record.get("seconds")
    if seconds is not None:
        numbers.append(seconds)
    is_finite = all(type(number) in (int, float) and abs(number) <= _GREATEST for number in numbers)
    return is_finite and all(isinstance(record.get(name, ""), str | None) for name in _TEXTS)


def read_metrics(path: pathlib.Path, needed: frozenset[str] = frozenset({"epoch"})) -> tuple[list[dict[str, Any]], int]:
    """Reads the lines of metrics.jsonl; there are none if the file does not exist.

    Args:
        path: the path of the file.
        needed: the names of the numbers without which a line is damaged.

    Returns:
        The lines, without those that are damaged, and the number of damaged ones. A last line that a kill cut short is
        not counted.
    """
    try:
        *texts, rest = read_regular(path).split(b"\n")
    except FileNotFoundError:
        return [], 0
    texts = [text for text in texts if text.strip()]
    lines = [line for text in texts if (line := _line(text, needed)) is not None]
    damaged = len(texts) - len(lines)
    last = _line(rest, needed)
    return [*lines, last] if last is not None else lines, damaged


def _line(text: bytes, needed: frozenset[str]) -> dict[str, Any] | None:
    """Parses a line of metrics.jsonl; returns `None` unless it is one that train.py writes."""
    try:
        line = parse_json(text)
        if not isinstance(line, dict) or not line.keys() >= needed:
            return None
        numbers = {name: value for name, value in line.items() if name != STATE}
        if not all(map(math.isfinite, numbers.values())) or not isinstance(line.get(STATE, ""), str):
            return None
        counts = all(type(line[name]) is int for name in ("epoch", "step") if name in line)
        return line if counts and ("loss" in line or line["epoch"] == 0) else None
    except (ValueError, TypeError, OverflowError):
        return None
