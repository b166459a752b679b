"""Finds files with equal bytes. Most files are told apart by their sizes and their last bytes."""

import contextlib
import dataclasses
import hashlib
import itertools
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from simsiam_tf.data.image_files import opened_file
from simsiam_tf.host import usable_cores
from simsiam_tf.inspection.headers import TAIL
from simsiam_tf.inspection.threads import in_threads

_BLOCK = 1 << 20


@dataclasses.dataclass(frozen=True)
class Identical:
    """Says which of N images are equal.

    Attributes:
        content: the number of each image's content, `[N] int64`: equal images have the same; -1 if it is unknown.
        file: the number of each image's file, `[N] int64`; `None` if the images are no files.
        unconfirmed: the numbers of contents of which only the size and the last bytes were compared.
        bytes_read: the number of bytes that were read to compare whole files.
    """

    content: np.ndarray
    file: np.ndarray | None = None
    unconfirmed: frozenset[int] = frozenset()
    bytes_read: int = 0

    def groups(self) -> Iterator[np.ndarray]:
        """Yields the positions of each group of equal images, `[n]` with n of 2 at least."""
        order = np.argsort(self.content, kind="stable")
        order = order[self.content[order] >= 0]
        starts = np.flatnonzero(np.diff(self.content[order], prepend=-1))
        for start, stop in itertools.pairwise([*starts.tolist(), len(order)]):
            if stop - start > 1:
                yield order[start:stop]

    def is_one_file(self, group: np.ndarray) -> bool:
        """Returns whether a group is one file under several names: hard links or symbolic links."""
        return self.file is not None and bool((self.file[group] == self.file[group[0]]).all())


def equal_digests(digests: np.ndarray, known: np.ndarray) -> Identical:
    """Finds equal images by hashes of their pixels.

    Args:
        digests: `[N, 2] uint64`.
        known: which of them are known, `[N] bool`.
    """
    content = np.full(len(digests), -1, np.int64)
    content[known] = numbered(digests[known, 0], digests[known, 1])
    return Identical(content)


@contextlib.contextmanager
def _silently(count: int) -> Iterator[Callable[[int], None]]:
    yield lambda done: None


def equal_files(
    sizes: np.ndarray,
    files: np.ndarray,
    tails: np.ndarray,
    path_of: Callable[[int], str],
    most_bytes: int,
    reading: Callable[[int], contextlib.AbstractContextManager[Callable[[int], None]]] = _silently,
) -> Identical:
    """Finds files with equal bytes.

    Files of the same size and the same last bytes are read in whole, the smallest first.

    Args:
        sizes: the size of each file in bytes, `[N] int64`; -1 if it is unknown. Empty files are not compared.
        files: the device and number of each file, `[N, 2] uint64`.
        tails: a hash of the last `TAIL` bytes of each file, `[N, 2] uint64`.
        path_of: a function from a position to the path of the file.
        most_bytes: the number of bytes to read at most. Files beyond it are taken as equal, and listed as unconfirmed.
        reading: a function from the number of files to read to a context that gives a function, which is told how
            many were read.
    """
    content, file = np.full(len(sizes), -1, np.int64), np.full(len(sizes), -1, np.int64)
    used = np.flatnonzero(sizes > 0)
    file[used] = numbered(files[used, 0], files[used, 1])
    _, first, of_file = np.unique(file[used], return_index=True, return_inverse=True)
    every = used[first]  # one name of each file
    alike = numbered(sizes[every], tails[every, 0], tails[every, 1])
    counts = np.bincount(alike)
    # The last bytes of a short file are all of it.
    costs = np.bincount(alike, weights=sizes[every]) * (counts > 1) * (sizes[every][_first(alike)] > TAIL)
    order = np.argsort(costs, kind="stable")
    affordable = np.zeros(len(costs), bool)
    affordable[order] = np.cumsum(costs[order]) <= most_bytes
    to_read = np.flatnonzero((costs > 0)[alike] & affordable[alike])
    whole = np.zeros((len(every), 2), np.uint64)
    with reading(len(to_read)) as add:
        read = _digests([path_of(int(every[i])) for i in to_read], add)
    for i, digest in zip(to_read, read, strict=True):
        whole[i] = digest
    contents = numbered(alike, whole[:, 0], whole[:, 1])
    content[used] = contents[of_file.reshape(-1)]
    beyond = frozenset(contents[~affordable[alike]].tolist())
    return Identical(content, file, beyond, int(sizes[every][to_read].sum()))


def numbered(*columns: np.ndarray) -> np.ndarray:
    """Numbers the different rows of some columns, `[N]` each; equal rows get the same number, `[N] int64`."""
    order = np.lexsort(columns)
    changes = np.zeros(len(order), bool)
    for column in columns:
        changes[1:] |= column[order][1:] != column[order][:-1]
    numbers = np.empty(len(order), np.int64)
    numbers[order] = np.cumsum(changes)
    return numbers


def _first(numbers: np.ndarray) -> np.ndarray:
    """Returns the first position of each number from 0 on."""
    return np.unique(numbers, return_index=True)[1]


def _digests(paths: Sequence[str], add: Callable[[int], None]) -> list[tuple[int, int]]:
    """Hashes whole files. A file that cannot be read is equal to none."""

    def read(chunk: Sequence[int]) -> list[tuple[int, int]]:
        return [_digest(paths[i]) or (2 * i + 1, 0) for i in chunk]

    digests: list[tuple[int, int]] = []
    for chunk, found in in_threads(read, range(len(paths)), 16, 2 * usable_cores()):
        digests += found
        add(len(chunk))
    return digests


def _digest(path: str) -> tuple[int, int] | None:
    digest = hashlib.blake2b(digest_size=16)
    try:
        with opened_file(path) as (content, _):
            while block := content.read(_BLOCK):
                digest.update(block)
    except OSError:  # it vanished since its header was read
        return None
    low, high = np.frombuffer(digest.digest(), np.uint64).tolist()
    return low, high
