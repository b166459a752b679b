"""Where a protocol writes its files, and how it names the images in them."""

import pathlib

from simsiam_tf.data.sources import Source
from simsiam_tf.errors import UsageError
from simsiam_tf.files import expand


def new_path(out: str, default: pathlib.Path) -> pathlib.Path:
    """Chooses where to write, so that nothing is overwritten.

    Args:
        out: the setting `--out`; may be empty.
        default: the path to take if `out` is empty.

    Raises:
        UsageError: if the path exists.
    """
    path = pathlib.Path(expand(out)) if out else default
    if path.exists():
        raise UsageError(f"--out exists and is not overwritten; move it away or name another. Received: {path}.")
    return path


def free_path(path: pathlib.Path) -> pathlib.Path:
    """Returns the path itself, or the path with the first number from 2 on that is not taken."""
    numbered = (path.with_stem(f"{path.stem}-{number}") for number in range(2, 1_000_000))
    return path if not path.exists() else next(candidate for candidate in numbered if not candidate.exists())


def place_of(source: Source, position: int) -> str:
    """Names the file of an image, or its position in a data set without files."""
    return source.files.locate(position) if source.files else f"{source.name}, example {position}"
