"""Keeps the names and sizes of the files below a large folder, so that a later start need not look at each of them."""

import hashlib
import json
import os
import pathlib
import re
import time
from typing import Any

import numpy as np

from simsiam_tf.config.data import DataConfig
from simsiam_tf.data.formats import readable_endings
from simsiam_tf.data.index import PREFIX, Index, is_whole, packed, unpacked
from simsiam_tf.data.walk import Listing, walk
from simsiam_tf.files import modified, parse_json, size_of_file

# A folder of fewer images is read in less than half a second, and gets no index.
_LEAST_IMAGES = 10_000
# A folder that was changed so many seconds before it was read may be changed again within a tick of the clock.
_TICK = 2.0
# A part of a path that leads out of the folder, or nowhere: an empty one, `.` or `..`; between names stands NUL.
_ELSEWHERE = re.compile(rb"(?:^|[\0/])\.{0,2}(?:[\0/]|$)")


def read_folder(root: str, config: DataConfig) -> Listing:
    """Finds the images below a folder, in an index if the folder is large and was not changed since.

    A folder was changed if files were added to it, taken away or renamed: the file system then changes its modification
    time. Of the whole folder itself, in which the index lies, the names count in its place. A file that was changed in
    its place is not noticed here; `FolderImages.load` notices that its size is another.

    Args:
        root: the path of the folder.
        config: the settings of the data set: where indices may lie, and whether they are made anew.

    Returns:
        The images, with the sizes of their files if the folder is large; and what was left out.

    Raises:
        UsageError: if the folder or one below it cannot be read.
    """
    index, of_root = Index("files", pathlib.Path(root), config), _stamp(root)
    for stamp, arrays in index.found():
        if stamp == of_root and is_whole(_fits, arrays) and _is_current(root, arrays):
            return _listing(arrays)
    start, begun = time.time(), time.monotonic()
    listing = walk(root)
    if len(listing.names) < _LEAST_IMAGES:
        return listing
    times = np.array(list(listing.folders.values()), np.int64)
    sizes = _sizes(root, listing.names)
    texts = json.dumps([listing.left_out, listing.hidden])
    arrays = {"names": packed(listing.names), "left_out": packed([texts]), "sizes": sizes}
    if listing.folders:
        arrays |= {"folders": packed(list(listing.folders)), "times": times}
    if times.max(initial=0) < (start - _TICK) * 1e9:
        index.keep(of_root, arrays, time.monotonic() - begun)
    return _listing(arrays)


def _fits(arrays: dict[str, np.ndarray]) -> bool:
    """Returns whether arrays are those of a listing, and all names lie below the folder."""
    left_out, hidden = parse_json(arrays["left_out"].tobytes())
    lists, sizes = [*left_out.values(), hidden], arrays["sizes"]
    texts = all(isinstance(names, list) and all(isinstance(name, str) for name in names) for names in lists)
    is_right = texts and sizes.dtype == np.int64 and sizes.shape == (len(unpacked(arrays["names"])),)
    times = arrays["times"] if "folders" in arrays else np.zeros(0, np.int64)
    return is_right and times.dtype == np.int64 and not _ELSEWHERE.search(arrays["names"].tobytes())


def _listing(arrays: dict[str, np.ndarray]) -> Listing:
    left_out, hidden = json.loads(unpacked(arrays["left_out"])[0])
    return Listing(unpacked(arrays["names"]), left_out, hidden, arrays["sizes"])


def _is_current(root: str, arrays: dict[str, np.ndarray]) -> bool:
    """Returns whether no folder that an index knows was changed."""
    if "folders" not in arrays:
        return True
    return [modified(f"{root}/{folder}") for folder in unpacked(arrays["folders"])] == arrays["times"].tolist()


def _stamp(root: str) -> dict[str, Any]:
    """Returns what tells the content of the whole folder itself, and the kinds of files that count as images."""
    try:
        names = sorted(name for name in os.listdir(root) if not name.startswith(PREFIX))
    except OSError:  # it is reported by the walk
        names = []
    content = "\0".join(names).encode("utf-8", "surrogateescape")
    return {"root": hashlib.sha256(content).hexdigest(), "endings": sorted(readable_endings())}


def _sizes(root: str, names: list[str]) -> np.ndarray:
    """Returns the size of each file in bytes, `[N] int64`; -1 for a broken link."""
    return np.fromiter((size_of_file(f"{root}/{name}") for name in names), np.int64, len(names))
