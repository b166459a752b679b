"""Decides what a folder of images is: which images are in which split, and of which class.

README.md has the same rules as a table. The names of the images decide; no image is opened.
"""

import collections
import dataclasses
import functools
import hashlib
import os
import pathlib
from collections.abc import Mapping, Sequence

import numpy as np

from simsiam_tf.config.data import DataConfig
from simsiam_tf.data.folder_index import read_folder
from simsiam_tf.data.folder_split import Files, FolderSplit
from simsiam_tf.data.formats import readable_endings
from simsiam_tf.data.layout import Layout, read_layout
from simsiam_tf.data.lists import labels_of_file, names_of_list, roots_of
from simsiam_tf.errors import UsageError, check
from simsiam_tf.files import printable

# The groups of splits that --eval_split=auto looks for, in this order.
_EVAL_GROUPS = ("validation", "test")
LOOSE = "image beside the class folders"
BESIDE_SPLITS = "image in no split"


class ImageFolder:
    """Finds the splits and classes of a folder of images, or of several folders.

    Args:
        config: the settings of the data set.
        held_out: the names of the images that a run holds out for evaluation, relative to the folder; `None` chooses
            them by `config.holdout`.

    Attributes:
        left_out: the names of what is left out of every split, by the reason.
        hidden: the names of hidden files, which are left out too.
        layouts: the splits of each folder.

    Raises:
        UsageError: if there is no such folder, or if it can be understood in two ways.
    """

    def __init__(self, config: DataConfig, held_out: frozenset[str] | None = None) -> None:
        self._config, self._chosen = config, held_out
        self.left_out: dict[str, list[str]] = collections.defaultdict(list)
        self.hidden: list[str] = []
        self._roots = tuple(roots_of(config))
        self._sizes: list[np.ndarray | None] = []
        self.layouts = [self._read(root) for root in self._roots]
        self._labels = labels_of_file(config.labels, self._roots) if config.labels else None

    def split(self, name: str, least_classes: int = 2) -> FolderSplit:
        """Returns a split by its name, with its own classes.

        Args:
            name: the name of the split.
            least_classes: the number of folders from which on they are classes. Images of a single class can be
                evaluated on, but not learned from.

        Raises:
            UsageError: if there is no such split, or it holds no image.
        """
        found = [(i, layout.find(name)) for i, layout in enumerate(self.layouts)]
        parts = [self._part(i, folder) for i, folder in found if folder is not None]
        if not parts:
            raise UsageError(f"There is no folder {name} of images in --data_dir. Received: {self.where}.")
        if not any(part.keys for part in parts):
            raise UsageError(f"The split {name} has no image. Received: {self.where}.")
        sizes = [part.sizes for part in parts if part.sizes is not None]
        keys = [key for part in parts for key in part.keys]
        files = Files(
            roots=self._roots,
            of_root=np.concatenate([part.of_root for part in parts]),
            keys=keys,
            ranks=np.arange(len(keys)),
            sizes=np.concatenate(sizes) if len(sizes) == len(parts) else None,
        )
        # The images are in an order that is random, so that the first few are of all classes, and always the same.
        order = np.random.RandomState(0).permutation(len(files))
        classes = sorted({name for part in parts for name in part.classes if name})
        number = {name: i for i, name in enumerate(classes)} if len(classes) >= least_classes else {}
        labels = np.array([number.get(name, -1) for part in parts for name in part.classes], np.int64)
        left_out: dict[str, list[str]] = collections.defaultdict(list)
        for part in parts:
            left_out[LOOSE] += part.loose
        folder = pathlib.Path(parts[0].folder)
        title = str(folder) if len(parts) == 1 else ",".join(part.folder for part in parts)
        names = tuple(classes) if number else ()
        left_out = {kind: left for kind, left in left_out.items() if left}
        return FolderSplit(title, folder, files.take(order), labels[order], names, left_out)

    @property
    def where(self) -> str:
        """Returns the folder, or the folders, for messages."""
        return ", ".join(printable(root) for root in self._roots)

    @functools.cached_property
    def training(self) -> FolderSplit:
        """Returns the images to train on, which are without those that are held out."""
        whole = self.split(self._config.train_split)
        return whole.take(np.flatnonzero(~self._held_out)) if self._config.holdout else whole

    @functools.cached_property
    def labelled(self) -> FolderSplit | None:
        """Returns the labelled images that evaluations learn from; `None` if there are none.

        They are the images to train on. If these have other classes than the images to evaluate on, as where the
        folders of unlabelled images are cameras, they are those of a split that is named as one to train on.
        """
        wanted = set(self.evaluation.classes) if self.evaluation is not None else set()
        candidates = [self.training]
        for layout in self.layouts:
            candidates += [self.split(name) for name in layout.of_group("train")]
        for split in candidates:
            if split.classes and (not wanted or wanted & set(split.classes)):
                return split if split.all_labels is not None else split.take(np.flatnonzero(split.labels >= 0))
        return None

    @functools.cached_property
    def evaluation(self) -> FolderSplit | None:
        """Returns the images to evaluate on, with their own classes; `None` if there are none."""
        config = self._config
        if config.holdout:
            whole = self.split(config.train_split)
            return whole.take(np.flatnonzero(self._held_out), f"{whole.title} (held out {config.holdout:g})")
        name = config.eval_split if config.eval_split != "auto" else self._automatic_split()
        return self.split(name, least_classes=1) if name else None

    def _automatic_split(self) -> str:
        """Returns the name of the split to evaluate on that a folder has, or an empty string."""
        for group in _EVAL_GROUPS:
            for layout in self.layouts:
                for name in layout.of_group(group):
                    if name != layout.find(self._config.train_split):
                        return name
        return ""

    @functools.cached_property
    def _held_out(self) -> np.ndarray:
        """Returns which images of the training split are held out, `[N] bool`."""
        whole = self.split(self._config.train_split)
        if self._automatic_split():
            raise UsageError(
                f"--holdout is for a folder without a split to evaluate on, but {self.where} has "
                f"{printable(self._automatic_split())}; leave --holdout out. Received: {self._config.holdout:g}."
            )
        if self._chosen is not None:
            return np.array([key in self._chosen for key in whole.files.keys])
        if not whole.classes:
            raise UsageError(
                f"--holdout holds out images of each class, and {self.where} has no class folders. "
                f"Received: {self._config.holdout:g}."
            )
        return _balanced_choice(whole, self._config.holdout)

    def shown(self, root: str, name: str) -> str:
        """Returns the name of a file below one of the folders; its path if there are several folders."""
        return name if len(self._roots) == 1 else os.path.join(root, name)

    def _read(self, root: str) -> Layout:
        if self._config.file_list:
            listing = names_of_list(self._config.file_list, root)
        else:
            check(os.path.isdir(root), "--data_dir must be an existing folder of images.", printable(root))
            listing = read_folder(root, self._config)
        self._sizes.append(listing.sizes)
        self.hidden += [self.shown(root, name) for name in listing.hidden]
        for kind, left_out in listing.left_out.items():
            self.left_out[kind] += [self.shown(root, name) for name in left_out]
        check(
            bool(listing.names),
            f"There is no image in {printable(root)}; looked for .jpg, .jpeg, .png and {len(readable_endings()) - 3} "
            "other endings, also in its sub-folders.",
            _instead(self.left_out),
        )
        layout = read_layout(listing.names, self._config.layout, printable(root))
        used = layout.find(self._config.train_split)
        if layout.splits and used != "":
            folders = tuple(f"{name.strip('/')}/" for name in {used or "", self._config.eval_split} - {"", "auto"})
            rest = [listing.names[i] for i in layout.rest]
            if beside := [self.shown(root, name) for name in rest if not name.startswith(folders)]:
                self.left_out[BESIDE_SPLITS] += beside
        return layout

    def _part(self, number: int, folder: str) -> "_Part":
        """Returns the images of a split in one of the folders."""
        root, layout, sizes = self._roots[number], self.layouts[number], self._sizes[number]
        images = layout.images_of(folder)
        names = [layout.names[i] for i in images.tolist()]
        path = os.path.join(root, folder) if folder else root
        of_root, sizes = np.full(len(names), number), None if sizes is None else sizes[images]
        if self._labels is not None:
            classes = [self._labels.get((number, name), "") for name in names]
            return _Part(path, of_root, names, sizes, classes, [])
        start = len(folder) + 1 if folder else 0
        tops = [name[start:].partition("/")[0] if "/" in name[start:] else "" for name in names]
        loose = [self.shown(root, name) for name, top in zip(names, tops, strict=True) if not top]
        if self._config.layout == "flat" or not _are_classes(tops, printable(path), self._config.layout):
            return _Part(path, of_root, names, sizes, [""] * len(names), [])
        if loose:
            kept = [i for i, top in enumerate(tops) if top]
            of_root, sizes = of_root[kept], None if sizes is None else sizes[kept]
            names, tops = [names[i] for i in kept], [tops[i] for i in kept]
        return _Part(path, of_root, names, sizes, tops, loose)


@dataclasses.dataclass(frozen=True)
class _Part:
    """Holds the images of a split in one folder, sorted, with the name of each one's class, empty for none."""

    folder: str
    of_root: np.ndarray
    keys: list[str]
    sizes: np.ndarray | None
    classes: list[str]
    loose: list[str]


def _are_classes(tops: Sequence[str], where: str, layout: str) -> bool:
    """Returns whether the folders of some images are classes, from the name of each one's folder, empty for none.

    Raises:
        UsageError: if as many images lie beside the folders as in them.
    """
    classes, loose = sorted({top for top in tops if top}), sum(not top for top in tops)
    if len(classes) < 2:
        return len(classes) == 1 and not loose
    if layout == "auto" and 2 * loose >= len(tops):
        raise UsageError(
            f"{where} has {loose} images of its own beside {len(classes)} folders of images "
            f"({', '.join(map(printable, classes[:3]))}); say --layout=classes if the folders are classes and "
            "the other images are to be left out, or --layout=flat if there are no classes. Received: --layout=auto."
        )
    return True


def _balanced_choice(split: FolderSplit, share: float) -> np.ndarray:
    """Chooses the same number of images from each class, by a hash of their names.

    Returns:
        Which images are chosen, `[N] bool`.
    """
    each = max(1, round(share * len(split.files) / len(split.classes)))
    ranks = [hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest() for key in split.files.keys]
    chosen = np.zeros(len(split.files), bool)
    for label, name in enumerate(split.classes):
        own = sorted(np.flatnonzero(split.labels == label), key=lambda i: ranks[i])
        if len(own) <= each:
            raise UsageError(
                f"--holdout takes {each} images from each class, and must leave some to train on. "
                f"Received: {len(own)} images of {printable(name)}."
            )
        chosen[own[:each]] = True
    return chosen


def _instead(left_out: Mapping[str, list[str]]) -> str:
    """Returns what there is in place of images, as a phrase."""
    counts = [f"{len(names)} x {kind}" for kind, names in left_out.items()]
    return ", ".join(counts) or "an empty folder"
