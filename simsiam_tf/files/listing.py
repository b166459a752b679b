"""Lists the folders in a folder, on this machine and in a bucket."""

import os
import pathlib

from simsiam_tf.files.paths import is_in_bucket


def folders_in(path: pathlib.Path) -> list[pathlib.Path]:
    """Returns the folders in a folder, and the links to folders, in the order of their names. Hidden ones are left out.

    Args:
        path: the path of the folder.

    Raises:
        OSError: if it is no folder, or cannot be read.
    """
    if is_in_bucket(path):
        return sorted(entry for entry in path.iterdir() if not entry.name.startswith(".") and entry.is_dir())
    with os.scandir(path) as entries:
        names = [entry.name for entry in entries if not entry.name.startswith(".") and _is_folder(entry)]
    return [path / name for name in sorted(names)]


def _is_folder(entry: os.DirEntry) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself
        return False


def real_path(path: pathlib.Path) -> str:
    """Returns the path of a file or folder without links. An address in a bucket, where there are none, stays.

    Args:
        path: the absolute path.
    """
    return str(path) if is_in_bucket(path) else os.path.realpath(path)
