"""Paths as the user means them, and files that are written whole or not at all."""

import json
import os
import pathlib
from typing import Any


def expand(path: str) -> str:
    """A path as the user means it, `~` included."""
    return os.path.abspath(os.path.expanduser(path))


def write_json(path: pathlib.Path, content: Any) -> None:
    """Writes the whole file or nothing of it.

    Raises:
        ValueError: if a number is not finite: JSON has no word for it, and no record should hold it.
    """
    text = json.dumps(content, indent=2, allow_nan=False) + "\n"
    draft = path.with_name(f"{path.name}.tmp{os.getpid()}")
    draft.write_text(text)
    draft.replace(path)
