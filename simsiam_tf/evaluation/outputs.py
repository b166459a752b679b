"""Chooses the paths that protocols write to, and names images in their files."""

import pathlib

from simsiam_tf.data.sources import Source
from simsiam_tf.errors import UsageError
from simsiam_tf.files import check_output, exists, user_path


def new_path(out: str, default: pathlib.Path) -> pathlib.Path:
    """Returns the path to write to, so that nothing is overwritten.

    Args:
        out: the value of `--out`; may be empty.
        default: the path to return if `out` is empty.

    Raises:
        UsageError: if the path exists or cannot be written.
    """
    path = user_path(out) if out else default
    if exists(path):
        raise UsageError(f"--out exists and is not overwritten; move it away or name another. Received: {path}.")
    check_output(path)
    return path


def free_path(path: pathlib.Path) -> pathlib.Path:
    """Returns the path if it is free, or else its first free variant: `name-2.png`, `name-3.png`, ..."""
    numbered = (path.with_stem(f"{path.stem}-{number}") for number in range(2, 1_000_000))
    return path if not exists(path) else next(other for other in numbered if not exists(other))


def place_of(source: Source, position: int) -> str:
    """Returns the location of an image: the path of its file, or its data set and position if it has no file."""
    return source.files.locate(position) if source.files else f"{source.name}, example {position}"
