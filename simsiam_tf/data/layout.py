"""Decides which folders below a folder of images are splits and which are classes, by their names alone."""

import collections
import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from simsiam_tf.errors import UsageError
from simsiam_tf.files import printable

# The names of split folders, in any case.
SPLIT_NAMES = {
    "train": ("train", "training"),
    "validation": ("validation", "val", "valid", "eval"),
    "test": ("test", "testing"),
}
_GROUPS = {name: group for group, names in SPLIT_NAMES.items() for name in names}


@dataclasses.dataclass(frozen=True)
class Layout:
    """Holds the splits of a folder.

    Attributes:
        names: the names of all images, relative to the whole folder.
        splits: the positions in `names` of the images below each split folder, `[n] int64`.
        rest: the positions of the images below no split folder.
    """

    names: Sequence[str]
    splits: Mapping[str, np.ndarray]
    rest: np.ndarray

    def find(self, split: str) -> str | None:
        """Finds the folder of a split: by its very name, else by its name in other case, else by its group.

        Returns:
            The name of the folder; an empty string for the images outside of all splits, which are the training images
            of a folder without a training split; `None` if there is no such split.

        Raises:
            UsageError: if two folders have the name.
        """
        folder = split.strip("/")
        if folder in self.splits:
            return folder
        if folder == ".":
            return ""
        if not group_of(folder) and len(self._below(folder)):
            return folder
        alike = [name for name in self.splits if name.lower() == folder.lower()]
        alike = alike or [name for name in self.splits if group_of(name) == group_of(folder) is not None]
        if len(alike) > 1:
            raise UsageError(
                f"{len(alike)} folders could be the split {split}; name one by --train_split or --eval_split. "
                f"Received: {', '.join(map(printable, sorted(alike)))}."
            )
        if alike:
            return alike[0]
        return "" if group_of(folder) == "train" and len(self.rest) else None

    def images_of(self, folder: str) -> np.ndarray:
        """Returns the positions in `names` of the images of a split that `find` found."""
        if folder in self.splits:
            return self.splits[folder]
        return self._below(folder) if folder else self.rest

    def _below(self, folder: str) -> np.ndarray:
        """Returns the positions of the images below a folder that is no split."""
        return np.array([i for i in self.rest if self.names[i].startswith(f"{folder}/")], np.int64)

    def of_group(self, group: str) -> list[str]:
        """Returns the names of the split folders of a group, in the order of `SPLIT_NAMES`."""
        found = [name for name in self.splits if group_of(name) == group]
        return sorted(found, key=lambda name: (SPLIT_NAMES[group].index(name.lower()), name))


def group_of(folder: str) -> str | None:
    """Returns the group of a split's name, `train`, `validation` or `test`; `None` for another name."""
    return _GROUPS.get(folder.lower())


def read_layout(names: Sequence[str], layout: str, where: str) -> Layout:
    """Decides which folders are splits.

    A folder with a split's name is a split if it holds class folders, or if there is no folder beside it but splits.

    Args:
        names: the names of all images, relative to the folder.
        layout: `auto`; `splits`, where every folder with a split's name is one; `classes` and `flat`, where none is.
        where: the path of the folder, for messages.

    Raises:
        UsageError: if the names can be understood in two ways.
    """
    if layout in ("classes", "flat"):
        return Layout(names, {}, np.arange(len(names)))
    below: dict[str, list[int]] = collections.defaultdict(list)
    rest: list[int] = []
    for i, name in enumerate(names):
        top, slash, _ = name.partition("/")
        (below[top] if slash and top.lower() in _GROUPS else rest).append(i)
    if layout == "auto":
        _refuse_ambiguous({top: [names[i] for i in images] for top, images in below.items()}, names, rest, where)
    return Layout(names, {top: np.array(images) for top, images in below.items()}, np.array(rest, np.int64))


def _refuse_ambiguous(
    below: Mapping[str, Sequence[str]], names: Sequence[str], others: Sequence[int], where: str
) -> None:
    """Raises a UsageError if a folder with a split's name could be a class, or the other way round."""
    rest = [names[i] for i in others]
    with_classes = {top for top, names in below.items() if any(name.count("/") > 1 for name in names)}
    beside = sorted({name.partition("/")[0] for name in rest if "/" in name})
    unclear = sorted(set(below) - with_classes)
    if unclear and beside and not any(group_of(top) == "train" for top in with_classes):
        raise UsageError(
            f"{_listed(unclear)} could be a split or a class, for it holds images itself beside other folders "
            f"({_listed(beside)}); say --layout=classes if every folder is a class, or --layout=splits. "
            f"Received: {where}."
        )
    if below:
        return
    second: dict[str, set[str]] = collections.defaultdict(set)
    for name in rest:
        parts = name.split("/", 2)
        if len(parts) == 3:
            second[parts[0]].add(parts[1])
    inner = sorted(top for top, folders in second.items() if all(map(group_of, folders)))
    if inner:
        example = f"{printable(inner[0])}/{printable(min(second[inner[0]]))}"
        raise UsageError(
            f"{example} has the name of a split, but lies in a folder that would be a class; give the folder that "
            f"holds the splits as --data_dir, or say --layout=classes if they are none. Received: {where}."
        )


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(map(printable, names[:3]))
    return f"{shown} and {len(names) - 3} more" if len(names) > 3 else shown
