"""Finds equal and nearly equal images within the splits of a data set, and between them."""

import contextlib
import functools
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from simsiam_tf.config.inspection import InspectConfig
from simsiam_tf.inspection.findings import Group
from simsiam_tf.inspection.headers import Headers
from simsiam_tf.inspection.identical import Identical, equal_digests, equal_files
from simsiam_tf.inspection.near import Near, find_near
from simsiam_tf.inspection.sampled import Sample
from simsiam_tf.inspection.splits import EVALUATION, Split
from simsiam_tf.progress import Progress


@contextlib.contextmanager
def _reading(count: int) -> Iterator[Callable[[int], None]]:
    with Progress("Comparing whole files", count, "file", live=True, shown=count > 0) as progress:
        yield progress.add


class Duplicates:
    """Compares the images of all splits with one another.

    Args:
        parts: each split with the headers of its images and a sample of their pixels.
        config: the settings of the inspection.
    """

    def __init__(self, parts: Sequence[tuple[Split, Headers, Sample]], config: InspectConfig) -> None:
        self._parts, self._config = parts, config
        self._splits = [split for split, _, _ in parts]
        self._roles = [split.role for split in self._splits]
        lengths = [len(split) for split in self._splits]
        self._starts = np.cumsum([0, *lengths])
        # The sample's images: their splits, their positions, and their places among the images of all splits.
        self._of_split = np.repeat(np.arange(len(parts)), [len(sample.positions) for _, _, sample in parts])
        self._positions = np.concatenate([np.asarray(sample.positions, np.int64) for _, _, sample in parts])
        self._places = self._starts[self._of_split] + self._positions
        self._is_file = all(split.files is not None for split in self._splits)

    @functools.cached_property
    def _equal(self) -> Identical:
        if not self._is_file:
            known = np.zeros(self._starts[-1], bool)
            digests = np.zeros((len(known), 2), np.uint64)
            known[self._places] = np.concatenate([sample.decoded for _, _, sample in self._parts])
            digests[self._places] = np.concatenate([sample.digests for _, _, sample in self._parts])
            for start, (split, headers, _) in zip(self._starts, self._parts, strict=False):
                if split.in_memory:
                    known[start : start + len(split)] = True
                    digests[start : start + len(split)] = headers.tail
            return equal_digests(digests, known)
        of_files = [headers for _, headers, _ in self._parts]
        sizes, files, tails = (
            np.concatenate([getattr(headers, name) for headers in of_files]) for name in ("size", "file", "tail")
        )
        return equal_files(sizes, files, tails, self._path, self._config.compare_gib << 30, _reading)

    @functools.cached_property
    def _near(self) -> tuple[Near, np.ndarray]:
        """Returns near-duplicates, and the indices in the sample that theirs stand for, `[n]`.

        Of equal images in a split, one is compared.
        """
        decoded = np.concatenate([sample.decoded for _, _, sample in self._parts])
        content = self._equal.content[self._places]
        keys = np.stack([self._of_split, content], axis=1)
        unknown = np.flatnonzero(decoded & (content < 0))
        known = np.flatnonzero(decoded & (content >= 0))
        chosen = np.sort(np.concatenate([unknown, known[np.unique(keys[known], axis=0, return_index=True)[1]]]))
        thumbnails = np.concatenate([sample.thumbnails for _, _, sample in self._parts])[chosen]
        near = find_near(thumbnails, self._config.near_bits)
        a, b = content[chosen[near.pairs]].T
        return near.where((a != b) | (a < 0)), chosen

    def identical(self) -> dict[str, list[Group]]:
        """Returns the groups of equal images within each split, by its role."""
        found: dict[str, list[Group]] = {role: [] for role in self._roles}
        for places in self._equal.groups():
            for number, role in enumerate(self._roles):
                own = places[self._split_of(places) == number]
                if len(own) > 1:
                    found[role].append(self._equal_group(own))
        return found

    def identical_between(self) -> list[Group]:
        """Returns the groups of equal images that are both in the evaluation split and in another."""
        return [self._equal_group(places) for places in self._equal.groups() if self._crosses(self._split_of(places))]

    def near_groups(self) -> dict[str, list[Group]]:
        """Returns the groups of near-duplicates within each split, by its role."""
        near, chosen = self._near
        found: dict[str, list[Group]] = {}
        for number, role in enumerate(self._roles):
            within = near.where((self._of_split[chosen[near.pairs]] == number).all(axis=1))
            found[role] = [self._group(self._places[chosen[group]]) for group in within.groups()]
        return found

    def near_between(self) -> list[Group]:
        """Returns the pairs of near-duplicates of which one is in the evaluation split and one in another."""
        near, chosen = self._near
        pairs, groups = chosen[near.pairs], []
        for pair, bits in zip(pairs, near.bits.tolist(), strict=True):
            if self._crosses(self._of_split[pair]):
                groups.append(self._group(self._places[pair], bits=bits))
        return groups

    def notes(self) -> list[str]:
        """Returns what was not compared, in sentences."""
        notes, (near, _) = [], self._near
        if self._equal.unconfirmed:
            notes.append(
                f"{len(self._equal.unconfirmed):,} groups of files have equal sizes and equal last bytes, but were not "
                f"read in whole, for more than --compare_gib={self._config.compare_gib} would have been read."
            )
        if near.plain.any():
            notes.append(
                f"{int(near.plain.sum()):,} images of the sample have too little structure to tell near-duplicates, as "
                "a single colour has; only equal bytes were looked for among them."
            )
        if not near.is_complete:
            notes.append("Very many images have alike hashes; each was compared with those nearest in brightness only.")
        return notes

    def _split_of(self, places: np.ndarray) -> np.ndarray:
        return np.searchsorted(self._starts, places, side="right") - 1

    def _crosses(self, of_split: np.ndarray) -> bool:
        roles = {self._roles[number] for number in set(of_split.tolist())}
        return EVALUATION in roles and len(roles) > 1

    def _path(self, place: int) -> str:
        number = int(self._split_of(np.array([place]))[0])
        files = self._splits[number].files
        assert files is not None
        return files[place - int(self._starts[number])]

    def _equal_group(self, places: np.ndarray) -> Group:
        confirmed = int(self._equal.content[places[0]]) not in self._equal.unconfirmed
        return self._group(places, one_file=self._equal.is_one_file(places), confirmed=confirmed)

    def _group(self, places: np.ndarray, one_file: bool = False, confirmed: bool = True, bits: int = 0) -> Group:
        names: dict[str, list[str]] = {}
        for role, name, _ in sorted(self._described(places), key=lambda one: (self._roles.index(one[0]), one[1])):
            names.setdefault(role, []).append(name)
        classes = sorted({label for _, _, label in self._described(places) if label})
        return Group(names, classes if len(classes) > 1 else [], one_file, confirmed, bits)

    def _described(self, places: np.ndarray) -> Iterator[tuple[str, str, str]]:
        """Yields the role, the name and the class of images."""
        for place, number in zip(places.tolist(), self._split_of(places).tolist(), strict=True):
            split, position = self._splits[number], place - int(self._starts[number])
            yield split.role, split.name(position), split.class_of(position)
