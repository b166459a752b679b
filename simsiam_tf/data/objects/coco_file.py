"""Reads JSON files in the format of COCO, and checks that they have what is needed."""

import dataclasses
import json
from typing import Any

from simsiam_tf.errors import UsageError, check
from simsiam_tf.files import is_file, printable, read_regular, user_path

_WORDS = {int: "a whole number", str: "a text"}


@dataclasses.dataclass(frozen=True)
class CocoFile:
    """Holds what a file says.

    Attributes:
        images: its images, in the order of their numbers.
        annotations: its annotations, in their own order.
        categories: its categories, in the order of their numbers.
    """

    images: list[dict[str, Any]]
    annotations: list[dict[str, Any]]
    categories: list[dict[str, Any]]


def read_content(path: str) -> CocoFile:
    """Reads a JSON file, and checks all but its single annotations.

    Args:
        path: the path of the file.

    Raises:
        UsageError: if there is no such file, or it is not in the format of COCO.
    """
    file = user_path(path)
    check(is_file(file), "The file of annotations of a COCO set must exist.", path)
    try:
        content = json.loads(read_regular(file))
    except (ValueError, RecursionError) as error:
        raise UsageError(f"A file of annotations must be JSON ({error}). Received: {path}.") from error
    rule = "A file of annotations in COCO's format must have the lists images, annotations and categories."
    parts: list[list[dict[str, Any]]] = []
    for key, kinds in (
        ("images", {"id": int, "file_name": str}),
        ("annotations", {}),
        ("categories", {"id": int, "name": str}),
    ):
        part = content.get(key) if isinstance(content, dict) else None
        check(isinstance(part, list), rule, f"{path}, which has no list {key}")
        assert isinstance(part, list)
        for entry in part:
            fits = isinstance(entry, dict) and all(type(entry.get(name)) is kind for name, kind in kinds.items())
            if not fits:
                needed = " and ".join(f"{name} ({_WORDS[kind]})" for name, kind in kinds.items()) or "names and values"
                raise UsageError(
                    f"Each entry of {key} must have {needed}, in {path}. Received: {printable(repr(entry)[:80])}."
                )
        parts.append(part)
    images, annotations, categories = parts
    for key, entries, names in (
        ("images", images, ("id", "file_name")),
        ("categories", categories, ("id", "name")),
    ):
        for name in names:
            _check_distinct([entry[name] for entry in entries], f"{name} of {key}", path)
    for image in images:
        name = image["file_name"]
        if is_elsewhere(name):
            raise UsageError(
                "A file_name of an image must be a path below the folder of the images, which may be given as a folder "
                f"above, in {path}. Received: {printable(name[:200])}."
            )
    check(bool(images) and bool(categories), "A file of annotations must have images and categories.", path)
    return CocoFile(_by_id(images), annotations, _by_id(categories))


def is_elsewhere(name: str) -> bool:
    """Returns whether a name in a file leads out of the folder that it is relative to, or cannot be a file's name.

    A file of annotations may come from anyone, and must not choose which other files of this machine are read.
    """
    parts = name.replace("\\", "/").split("/")
    return (
        any(part in ("", "..") for part in parts)
        or set(parts) == {"."}
        or "\0" in name
        or any("\ud800" <= c <= "\udfff" for c in name)
    )


def _by_id(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(entries, key=lambda entry: entry["id"])


def _check_distinct(values: list[Any], what: str, path: str) -> None:
    seen: set[Any] = set()
    for value in values:
        if value in seen:
            raise UsageError(f"Each {what} must be there once, in {path}. Received: {printable(str(value))} again.")
        seen.add(value)
