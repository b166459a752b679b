"""Finds near-duplicates: pictures that were saved anew, resized, or made a little brighter.

Each picture has a hash of 144 bits: for neighbouring pixels of its thumbnail, whether the second is brighter. Pairs
whose hashes differ in a few bits are candidates, and the thumbnails decide. Other crops, mirrored and recoloured copies
are not found.
"""

import dataclasses
import math

import numpy as np

from simsiam_tf.inspection.identical import numbered

# Levels by which the brighter pixel must exceed the other, so that noise on a plain area is no structure.
_MARGIN = 5
# A hash with fewer bits says too little: plain pictures would all be alike.
_LEAST_BITS = 8
# Mean difference of two thumbnails, in levels, once each channel has its mean taken off.
_MOST_DIFFERENCE = 6.0
# An image is compared with this many neighbours, in the order of brightness, among those that agree in a band.
_WINDOW = 256


@dataclasses.dataclass(frozen=True)
class Near:
    """Holds pairs of near-duplicates.

    Attributes:
        pairs: the indices of each pair, `[P, 2] int64`, the smaller first.
        bits: in how many bits the hashes of each pair differ, `[P] int64`.
        plain: which images have too little structure to be compared, `[n] bool`.
        is_complete: whether every pair was compared that can be within the limit of bits.
    """

    pairs: np.ndarray
    bits: np.ndarray
    plain: np.ndarray
    is_complete: bool

    def where(self, chosen: np.ndarray) -> "Near":
        """Returns the chosen pairs only.

        Args:
            chosen: `[P] bool`.
        """
        return dataclasses.replace(self, pairs=self.pairs[chosen], bits=self.bits[chosen])

    def groups(self) -> list[list[int]]:
        """Returns groups of images, each of which is a near-duplicate of another one in its group."""
        parent: dict[int, int] = {}

        def root(i: int) -> int:
            while parent.setdefault(i, i) != i:
                parent[i] = parent[parent[i]]
                i = parent[i]
            return i

        for a, b in self.pairs.tolist():
            parent[max(root(a), root(b))] = min(root(a), root(b))
        groups: dict[int, list[int]] = {}
        for i in sorted(parent):
            groups.setdefault(root(i), []).append(i)
        return list(groups.values())


def find_near(thumbnails: np.ndarray, most_bits: int) -> Near:
    """Finds pairs of near-duplicates.

    Args:
        thumbnails: thumbnails of n images, `[n, 9, 9, 3] uint8`.
        most_bits: the number of bits in which the hashes of a pair may differ.
    """
    bits = hash_bits(thumbnails)
    plain = bits.sum(axis=1) < _LEAST_BITS
    index = np.flatnonzero(~plain)
    bits, levels = bits[index], thumbnails[index].reshape(len(index), math.prod(thumbnails.shape[1:3]), 3)
    brightness = levels.mean(axis=(1, 2))
    is_complete = True
    found: list[np.ndarray] = []
    # Two hashes that differ in d bits agree in at least one of d + 1 bands.
    for band in range(most_bits + 1):
        key = _keys(bits[:, band :: most_bits + 1])
        order = np.lexsort((brightness, key))
        for step in range(1, _WINDOW + 2):
            pairs = np.stack([order[:-step], order[step:]], axis=1)
            pairs = pairs[key[pairs[:, 0]] == key[pairs[:, 1]]]
            if not len(pairs):
                break
            if step > _WINDOW:
                is_complete = False
                break
            pairs = pairs[(bits[pairs[:, 0]] != bits[pairs[:, 1]]).sum(axis=1) <= most_bits]
            difference = _differences(levels, pairs)
            found.append(np.sort(pairs[difference <= _MOST_DIFFERENCE], axis=1))
    pairs = np.unique(np.concatenate([np.zeros((0, 2), np.int64), *found]), axis=0)
    differing = (bits[pairs[:, 0]] != bits[pairs[:, 1]]).sum(axis=1)
    return Near(index[pairs], differing, plain, is_complete)


def hash_bits(thumbnails: np.ndarray) -> np.ndarray:
    """Returns the hash of each thumbnail `[n, 9, 9, 3] uint8`, `[n, 144] bool`."""
    grey = thumbnails @ np.array([0.299, 0.587, 0.114], np.float32)
    right, down = np.diff(grey, axis=2) > _MARGIN, np.diff(grey, axis=1) > _MARGIN
    return np.concatenate([right.reshape(-1, 72), down.reshape(-1, 72)], axis=1)


def _differences(levels: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Returns the mean difference of pairs of thumbnails, `[P]`, once each channel has its mean taken off.

    Args:
        levels: thumbnails, `[n, 81, 3] uint8`.
        pairs: the indices of the pairs, `[P, 2]`.
    """
    difference = levels[pairs[:, 0]].astype(np.float32) - levels[pairs[:, 1]]
    return np.abs(difference - difference.mean(axis=1, keepdims=True)).mean(axis=(1, 2))


def _keys(bits: np.ndarray) -> np.ndarray:
    """Numbers the different rows of bits `[n, b]`, `[n] int64`."""
    padded = np.pad(bits, ((0, 0), (0, -bits.shape[1] % 64)))
    columns = np.packbits(padded, axis=1).view(np.uint64)
    return numbered(*columns.T)
