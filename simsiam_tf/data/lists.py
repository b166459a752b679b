"""Finds the folders that a user names, and reads files that list images or give them labels."""

import collections
import csv
import os
import pathlib
from collections.abc import Sequence

from simsiam_tf.config.data import DataConfig
from simsiam_tf.data.walk import Listing, kind_of
from simsiam_tf.errors import UsageError, check
from simsiam_tf.files import expand, expand_several, is_in_bucket, printable, read_text, user_path


def roots_of(config: DataConfig) -> list[str]:
    """Returns the folders that --data_dir names, or the folder of --file_list."""
    roots = expand_several(config.data_dir) or [os.path.dirname(expand(config.file_list))]
    check(
        not any(map(is_in_bucket, roots)),
        "A folder of loose images must be on this machine, since a bucket takes requests for each image; make shards "
        "of it (python -m simsiam_tf.cli.prepare), which a bucket serves well. With --file_list, --data_dir names it.",
        ", ".join(roots),
    )
    real = [os.path.realpath(root) for root in roots]
    inside = [
        a for i, a in enumerate(real) for j, b in enumerate(real) if i != j and (a + os.sep).startswith(b + os.sep)
    ]
    check(
        not inside,
        "--data_dir must name folders of which none holds another, or images would count twice.",
        ", ".join(map(printable, dict.fromkeys(inside))),
    )
    check(len(roots) == 1 or not config.file_list, "--file_list needs a single --data_dir.", config.data_dir)
    return roots


def names_of_list(file_list: str, root: str) -> Listing:
    """Reads the images that a file lists, a path a line, relative to a folder or absolute.

    Listed files of other kinds are left out, as `walk` leaves them out.
    """
    lines = [line for line in _text(file_list, "--file_list").splitlines() if line.strip()]
    names = [_relative(line.strip(), root) for line in lines]
    missing = [name for name in names if not os.path.lexists(os.path.join(root, name))]
    check(
        not missing,
        f"--file_list must list existing images, relative to {printable(root)}.",
        f"{len(missing)} that do not exist, the first of them {printable(missing[0]) if missing else ''}",
    )
    images, left_out = [], collections.defaultdict(list)
    for name in sorted(dict.fromkeys(names), key=lambda name: name.split("/")):
        kind = kind_of(name)
        if kind is None:
            images.append(name)
        else:
            left_out[kind].append(name)
    return Listing(images, dict(left_out))


def labels_of_file(path: str, roots: Sequence[str]) -> dict[tuple[int, str], str]:
    """Reads the class of each image from a file with a line `path,label` for each. A first line may name the columns.

    Returns:
        The name of the class, by the number of the folder and the name of the image in it.
    """
    try:
        rows = [row for row in csv.reader(_text(path, "--labels").splitlines()) if row]
    except csv.Error as error:
        raise UsageError(
            f"--labels must be a file with a path and a label in each line ({error}). Received: {path}."
        ) from error
    check(bool(rows), "--labels must be a file with a path and a label in each line.", "an empty file")
    wrong = next((i for i, row in enumerate(rows) if len(row) != 2 or not row[1].strip()), None)
    check(
        wrong is None,
        "--labels must be a file with a path and a label in each line, separated by a comma.",
        f"line {(wrong or 0) + 1}, {','.join(rows[wrong or 0])!r}",
    )
    labels: dict[tuple[int, str], str] = {}
    missing: list[str] = []
    for i, (image, label) in enumerate(rows):
        places = [(n, _relative(image.strip(), root)) for n, root in enumerate(roots)]
        places = [(n, name) for n, name in places if os.path.lexists(os.path.join(roots[n], name))]
        if not places and i == 0 and kind_of(image):  # the names of the columns
            continue
        missing += [] if places else [image]
        for place in places:
            check(
                labels.setdefault(place, label.strip()) == label.strip(),
                "--labels must give each image one label.",
                f"{printable(image)} with {labels[place]} and {label.strip()}",
            )
    check(
        not missing,
        f"--labels must name existing images, relative to {', '.join(map(printable, roots))}.",
        f"{len(missing)} that do not exist, the first of them {printable(missing[0]) if missing else ''}",
    )
    return labels


def _text(path: str, flag: str) -> str:
    try:
        file = user_path(path)
        # A pipe of this machine, as of `<(...)` in a shell, is as good as a file.
        return read_text(file) if is_in_bucket(file) else file.read_text("utf-8-sig", "surrogateescape")
    except OSError as error:
        raise UsageError(f"{flag} must be a file that can be read ({error.strerror}). Received: {path}.") from error


def _relative(path: str, root: str) -> str:
    """Returns a path relative to a folder, with `/`, if it lies below it; otherwise the absolute path."""
    whole = os.path.normpath(os.path.join(root, path))
    return pathlib.PurePath(os.path.relpath(whole, root)).as_posix() if whole.startswith(root + os.sep) else whole
