"""Expands paths that users type, and writes files whole or not at all."""

import json
import os
import pathlib
from typing import Any


def expand(path: str) -> str:
    """Returns the absolute path of a path that a user typed, with `~` expanded."""
    return os.path.abspath(os.path.expanduser(path))


def write_json(path: pathlib.Path, content: Any) -> None:
    """Writes a JSON file whole or not at all: an existing file is replaced only once the new one is complete.

    Args:
        path: the path of the file.
        content: the value to write, of types that JSON knows.

    Raises:
        ValueError: if a number is not finite. JSON has no such numbers, and no record should hold one.
    """
    text = json.dumps(content, indent=2, allow_nan=False) + "\n"
    draft = path.with_name(f"{path.name}.tmp{os.getpid()}")
    draft.write_text(text)
    draft.replace(path)
