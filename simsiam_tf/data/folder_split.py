"""Holds the files of one split of a folder of images, and their classes."""

import dataclasses
import os
import pathlib
from collections.abc import Mapping, Sequence

import numpy as np


@dataclasses.dataclass(frozen=True)
class Files(Sequence[str]):
    """Gives the path of each image, which is made only when it is asked for.

    Attributes:
        roots: the folders that the images lie below.
        of_root: the number of each image's folder, `[N]`.
        keys: the path of each image relative to its folder.
        ranks: the place of each image in the order in which the folder was read, `[N] int64`.
        sizes: the size of each image's file in bytes, `[N] int64`, -1 for a broken link; `None` if they are not known.
    """

    roots: tuple[str, ...]
    of_root: np.ndarray
    keys: list[str]
    ranks: np.ndarray
    sizes: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.keys)

    def __getitem__(self, position):  # type: ignore[no-untyped-def]
        return os.path.join(self.roots[self.of_root[position]], self.keys[position])

    def take(self, positions: np.ndarray) -> "Files":
        """Returns the images at some positions `[n]`, in this order."""
        sizes = None if self.sizes is None else self.sizes[positions]
        keys = [self.keys[i] for i in positions.tolist()]
        return Files(self.roots, self.of_root[positions], keys, self.ranks[positions], sizes)


@dataclasses.dataclass(frozen=True)
class FolderSplit:
    """Holds the images of one split.

    Attributes:
        title: the path of the split's folder, or another name, for messages and records.
        folder: the folder that published lists of its images are relative to.
        files: the images.
        labels: the class of each image, `[N] int64`; -1 for an image of no class.
        classes: the names of the classes, by label; empty without classes.
        left_out: the names of the images that are not used, by the reason.
    """

    title: str
    folder: pathlib.Path
    files: Files
    labels: np.ndarray
    classes: tuple[str, ...]
    left_out: Mapping[str, list[str]]

    @property
    def all_labels(self) -> np.ndarray | None:
        """Returns the labels `[N] int64` if every image has one, otherwise `None`."""
        return self.labels if self.classes and (self.labels >= 0).all() else None

    def take(self, positions: np.ndarray, title: str = "") -> "FolderSplit":
        """Returns the split with the images at some positions `[n]` only, in this order."""
        files, labels = self.files.take(positions), self.labels[positions]
        return dataclasses.replace(self, title=title or self.title, files=files, labels=labels)
