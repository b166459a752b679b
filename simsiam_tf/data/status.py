"""Asks the file system about files and folders that may be gone."""

import os
import pathlib


def modified(path: str | pathlib.Path) -> int:
    """Returns the modification time of a file or folder in nanoseconds, or of a link's target; -1 if there is none."""
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return -1


def size_of_file(path: str | pathlib.Path) -> int:
    """Returns the size of a file in bytes, or of a link's target; -1 if there is none."""
    try:
        return os.stat(path).st_size
    except OSError:
        return -1
