"""Finds the runs in folders."""

import dataclasses
import pathlib
from collections.abc import Sequence

from simsiam_tf.errors import UsageError, check
from simsiam_tf.files import check_bucket, folders_in, is_folder, real_path, user_path
from simsiam_tf.runs.known_run import KnownRun, looks_like_a_run
from simsiam_tf.training.run_files import FOLDERS

# Folders are looked at so many levels below the one that is given.
DEPTH = 4
# Folders that a run leaves in its own, in which no other run is.
_OF_A_RUN = frozenset({*FOLDERS, "export", "wandb"})


@dataclasses.dataclass
class Found:
    """Holds the runs that were found.

    Attributes:
        runs: the runs.
        refused: the folders that look like runs and cannot be opened, or cannot be looked into, with the reasons.
        looked_at: the number of folders that were looked at.
    """

    runs: list[KnownRun] = dataclasses.field(default_factory=list)
    refused: list[tuple[pathlib.Path, str]] = dataclasses.field(default_factory=list)
    looked_at: int = 0


def find_runs(paths: Sequence[str]) -> Found:
    """Finds runs. A folder that is given is one of a run, or holds runs, at most four levels below it.

    Each run is found once, whatever links lead to it. Nothing below a run's own folder is looked for.

    Args:
        paths: the paths of folders, as the user typed them.

    Raises:
        UsageError: if one of them is no folder.
        ConnectionError: if one is in a bucket that does not exist, refuses, or does not answer.
    """
    found, seen = Found(), set[str]()
    for path in paths:
        root = user_path(path)
        check_bucket(root)
        check(is_folder(root), "Each word after the first must be the folder of a run, or one that holds runs.", path)
        _look(root, DEPTH, found, seen)
    return found


def _look(root: pathlib.Path, depth: int, found: Found, seen: set[str]) -> None:
    """Looks at a folder, and at those in it unless it is a run."""
    real = real_path(root)
    if real in seen:
        return
    seen.add(real)
    found.looked_at += 1
    if looks_like_a_run(root):
        try:
            found.runs.append(KnownRun.read(root))
            return
        except UsageError as error:  # it may hold runs all the same
            found.refused.append((root, str(error)))
    if depth == 0:
        return
    try:
        inside = folders_in(root)
    except OSError as error:
        found.refused.append((root, f"The folder cannot be read ({error.strerror})."))
        return
    for folder in inside:
        if folder.name not in _OF_A_RUN:
            _look(folder, depth - 1, found, seen)
