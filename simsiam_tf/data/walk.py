"""Finds the image files below a folder, and keeps account of what it leaves out."""

import collections
import dataclasses
import os
import pathlib
import stat

from simsiam_tf.data.formats import HEIF_ENDINGS, readable_endings
from simsiam_tf.errors import UsageError

# Folders that systems and programs make for themselves; their copies of images are no images of the user's.
_SYSTEM_FOLDERS = frozenset(
    ("__macosx", "@eadir", "#recycle", "$recycle.bin", "system volume information", "lost+found", "__pycache__")
)
HIDDEN = "hidden or system folder"
LINKED = "link to a folder that is read already or holds this one"
SPECIAL = "pipe, socket or device"
_BROKEN = 0


@dataclasses.dataclass(frozen=True)
class Listing:
    """Holds the images below a folder.

    Attributes:
        names: the path of each image relative to the folder, with `/`, in the order of their parts.
        left_out: the names of what was left out, by its kind: `HIDDEN`, `LINKED`, `SPECIAL`, or the ending of a file,
            such as `.txt`.
        hidden: the names of hidden files, such as .DS_Store, which are left out too, but are not worth a mention.
    """

    names: list[str]
    left_out: dict[str, list[str]]
    hidden: list[str] = dataclasses.field(default_factory=list)


def walk(root: str) -> Listing:
    """Finds the image files below a folder, in its sub-folders too.

    Each folder is read once, whatever links lead to it. A link to a folder is followed unless that folder is read
    already, or contains the one that is walked.

    Args:
        root: the path of the folder.

    Returns:
        The images, and what was left out.

    Raises:
        UsageError: if the folder or one below it cannot be read.
    """
    names: list[str] = []
    hidden: list[str] = []
    left_out: dict[str, list[str]] = collections.defaultdict(list)
    real = pathlib.Path(os.path.realpath(root))
    seen = {_identity(path) for path in (real, *real.parents)}
    links = collections.deque([(root, "")])
    while links:  # real folders first, so that an image has its real name
        path, prefix = links.popleft()
        if prefix:
            identity = _identity(path)
            if identity in seen:
                left_out[LINKED].append(prefix[:-1])
                continue
            seen.add(identity)
        below = [(path, prefix)]
        while below:
            path, prefix = below.pop()
            for entry in _entries(path):
                name = prefix + entry.name
                mode = _mode(entry)
                if mode != stat.S_IFDIR:
                    if entry.name.startswith("."):
                        hidden.append(name)
                    else:
                        _sort_in(name, mode, names, left_out)
                elif entry.name.startswith(".") or entry.name.lower() in _SYSTEM_FOLDERS:
                    left_out[HIDDEN].append(name)
                elif entry.is_symlink():
                    links.append((entry.path, f"{name}/"))
                elif (identity := _identity(entry.path)) not in seen:  # a folder may be mounted a second time
                    seen.add(identity)
                    below.append((entry.path, f"{name}/"))
                else:
                    left_out[LINKED].append(name)
    names.sort(key=lambda name: name.split("/"))
    return Listing(names, {kind: sorted(found) for kind, found in left_out.items()}, sorted(hidden))


def kind_of(name: str) -> str | None:
    """Returns the ending of a file that is no readable image, `.txt` for example; `None` for an image."""
    ending = os.path.splitext(name)[1].lower()
    if ending in readable_endings():
        return None
    return f"{ending} (needs the package pillow-heif)" if ending in HEIF_ENDINGS else ending or "no ending"


def _sort_in(name: str, mode: int, names: list[str], left_out: dict[str, list[str]]) -> None:
    """Adds a file to the images, or to what is left out."""
    kind = kind_of(name)
    if mode not in (stat.S_IFREG, _BROKEN):
        left_out[SPECIAL].append(name)
    elif kind is None:
        names.append(name)  # a broken link too: it is reported when it is read
    else:
        left_out[kind].append(name)


def _mode(entry: os.DirEntry) -> int:
    """Returns the type of a file, as `stat.S_IFMT` does; that of its target for a link, and `_BROKEN` without one."""
    if entry.is_file(follow_symlinks=False):  # known from the folder, without asking for the file's status
        return stat.S_IFREG
    try:
        return stat.S_IFMT(os.stat(entry.path).st_mode)
    except OSError:
        return _BROKEN


def _entries(path: str) -> list[os.DirEntry]:
    try:
        with os.scandir(path) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        raise UsageError(f"A folder of images cannot be read ({error.strerror}). Received: {path}.") from error


def _identity(path: str | pathlib.Path) -> tuple[int, int]:
    """Returns what the file system knows a folder by."""
    status = os.stat(path)
    return status.st_dev, status.st_ino
