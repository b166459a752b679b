"""Finds the image files below a folder, and keeps account of what it leaves out."""

import bisect
import collections
import dataclasses
import os
import pathlib
import stat
from collections.abc import Sequence

import numpy as np

from simsiam_tf.data import index
from simsiam_tf.data.formats import HEIF_ENDINGS, readable_endings
from simsiam_tf.errors import UsageError
from simsiam_tf.files import modified

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
        sizes: the size of each image's file in bytes, `[N] int64`, -1 for a broken link; `None` if they are not known.
        folders: the modification time, in nanoseconds, of each folder that was read, and of what a link leads to that
            was not followed; by its path relative to the whole folder, which is not among them. -1 for a broken link.
    """

    names: list[str]
    left_out: dict[str, list[str]]
    hidden: list[str] = dataclasses.field(default_factory=list)
    sizes: np.ndarray | None = None
    folders: dict[str, int] = dataclasses.field(default_factory=dict)


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
    walker = _Walker()
    real = pathlib.Path(os.path.realpath(root))
    walker.seen |= {_identity(path) for path in (real, *real.parents)}
    walker.add_below(root, "")
    in_order = not walker.links
    while walker.links:  # real folders first, so that an image has its real name
        path, name = walker.links.popleft()
        if walker.is_new(path, name):
            walker.add_below(path, f"{name}/")
    if not in_order:
        walker.names.sort(key=lambda name: name.split("/"))
    left_out = {kind: sorted(found) for kind, found in walker.left_out.items()}
    return Listing(walker.names, left_out, sorted(walker.hidden), folders=walker.folders)


class _Walker:
    """Collects the files below folders. There may be millions, so a file costs little more than its name."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.hidden: list[str] = []
        self.folders: dict[str, int] = {}
        self.left_out: dict[str, list[str]] = collections.defaultdict(list)
        self.seen: set[tuple[int, int]] = set()
        self.links: collections.deque[tuple[str, str]] = collections.deque()
        self._kinds: dict[str, str | None] = {}

    def is_new(self, path: str, name: str) -> bool:
        """Returns whether a folder is read for the first time. Otherwise it is left out."""
        identity = _identity(path)
        if identity in self.seen:
            self.left_out[LINKED].append(name)
            self.folders[name] = modified(path)
            return False
        self.seen.add(identity)
        return True

    def add_below(self, path: str, prefix: str) -> None:
        """Adds the files below a folder, in the order of the parts of their names."""
        files, folders = self._read(path, prefix)
        ahead = [(path, prefix, files, folders)]
        while ahead:
            path, prefix, files, folders = ahead.pop()
            if not folders:
                self._add(files, prefix)
                continue
            first, *others = folders
            count = bisect.bisect(files, first)
            self._add(files[:count], prefix)
            ahead.append((path, prefix, files[count:], others))
            below, name = os.path.join(path, first), prefix + first
            if self.is_new(below, name):  # a folder may be mounted a second time
                ahead.append((below, f"{name}/", *self._read(below, f"{name}/")))

    def _read(self, path: str, prefix: str) -> tuple[list[str], list[str]]:
        """Returns the names of the files and of the folders in a folder, both sorted. What is neither is noted."""
        files, folders = [], []
        if prefix:  # its time is taken before it is read, so that a later change is one
            self.folders[prefix] = modified(path)
        try:
            with os.scandir(path) as entries:
                for entry in entries:
                    if entry.is_file(follow_symlinks=False):  # known from the folder, without asking for its status
                        files.append(entry.name)
                        continue
                    mode = _mode(entry)
                    if mode in (stat.S_IFREG, _BROKEN):  # a broken link is reported when it is read
                        files.append(entry.name)
                        if mode == _BROKEN:
                            self.folders[prefix + entry.name] = -1
                    elif mode == stat.S_IFDIR and self._is_used(entry, prefix):
                        folders.append(entry.name)
                    elif mode != stat.S_IFDIR:
                        kept = self.hidden if entry.name.startswith(".") else self.left_out[SPECIAL]
                        kept.append(prefix + entry.name)
        except OSError as error:
            raise UsageError(f"A folder of images cannot be read ({error.strerror}). Received: {path}.") from error
        return sorted(files), sorted(folders)

    def _is_used(self, entry: os.DirEntry, prefix: str) -> bool:
        """Returns whether a folder is read now. A link to a folder is kept for later."""
        name = prefix + entry.name
        if entry.name.startswith(".") or entry.name.lower() in _SYSTEM_FOLDERS:
            self.left_out[HIDDEN].append(name)
        elif entry.is_symlink():
            self.links.append((entry.path, name))
        else:
            return True
        return False

    def _add(self, files: Sequence[str], prefix: str) -> None:
        """Adds files to the images, or to what is left out."""
        kinds = self._kinds
        for file in files:
            if file.startswith("."):
                if not file.startswith(index.PREFIX):
                    self.hidden.append(prefix + file)
                continue
            ending = file[file.rfind(".") :] if "." in file else ""
            if ending not in kinds:
                kinds[ending] = kind_of(file)
            kind = kinds[ending]
            if kind is None:
                self.names.append(prefix + file)
            else:
                self.left_out[kind].append(prefix + file)


def kind_of(name: str) -> str | None:
    """Returns the ending of a file that is no readable image, `.txt` for example; `None` for an image."""
    ending = os.path.splitext(name)[1].lower()
    if ending in readable_endings():
        return None
    return f"{ending} (needs the package pillow-heif)" if ending in HEIF_ENDINGS else ending or "no ending"


def _mode(entry: os.DirEntry) -> int:
    """Returns the type of a file or of a link's target, as `stat.S_IFMT` does; `_BROKEN` if there is none."""
    try:
        return stat.S_IFMT(os.stat(entry.path).st_mode)
    except OSError:
        return _BROKEN


def _identity(path: str | pathlib.Path) -> tuple[int, int]:
    """Returns what the file system knows a folder by."""
    status = os.stat(path)
    return status.st_dev, status.st_ino
