"""Gives the splits of a data set as the inspection needs them: every image with its name, class and content."""

import contextlib
import dataclasses
import io
from collections.abc import Iterator, Sequence
from typing import IO

import numpy as np

from simsiam_tf.config.pixels import Pixels
from simsiam_tf.data.dataset import DataSet
from simsiam_tf.data.folder import Files, FolderSplit
from simsiam_tf.data.image_files import opened_file
from simsiam_tf.data.sources import Source

TRAINING, LABELLED, EVALUATION = "training", "labelled", "evaluation"


@dataclasses.dataclass(frozen=True)
class Split:
    """Holds the images of a split.

    Attributes:
        role: the use of the images: `training`, `labelled` (what kNN learns from, if it is another split) or
            `evaluation`.
        source: the images.
        pixels: the meaning of the pixels.
        labels: the class of each image, `[N] int64`, -1 for none; `None` without classes.
        names: the name of each image, for people; `None` to ask the source.
        files: the files of the images; `None` for other data sets.
    """

    role: str
    source: Source
    pixels: Pixels
    labels: np.ndarray | None
    names: Sequence[str] | None = None
    files: Files | None = None

    def __len__(self) -> int:
        return self.source.num_examples

    @property
    def in_memory(self) -> bool:
        """Returns whether the images are held as arrays, all of one size."""
        return self.source.files is None

    def name(self, position: int) -> str:
        """Returns the name of an image."""
        return self.source.name_of(position) if self.names is None else self.names[position]

    def class_of(self, position: int) -> str:
        """Returns the name of an image's class; an empty string for none."""
        if self.labels is None or self.labels[position] < 0 or not self.source.classes:
            return ""
        return self.source.classes[self.labels[position]]

    @contextlib.contextmanager
    def opened(self, position: int) -> Iterator[IO[bytes]]:
        """Opens the encoded image at a position.

        Raises:
            OSError: if it cannot be read.
        """
        if self.files is not None:
            with opened_file(self.files[position]) as (content, _):
                yield content
        else:
            assert self.source.files is not None
            yield io.BytesIO(self.source.files.load(position))


def splits_of(data: DataSet, max_examples: int = 0) -> list[Split]:
    """Returns the splits of a data set that a run would use.

    Args:
        data: the data set.
        max_examples: the number of images to train on, the first ones of the split; 0: all.

    Raises:
        UsageError: if the data set cannot be used.
    """
    pixels = data.config.pixels
    training = data.training.first(max_examples)
    if data.folder is None:
        splits = [Split(TRAINING, training, pixels, training.labels)]
        if data.evaluation is not None:
            splits.append(Split(EVALUATION, data.evaluation, pixels, data.evaluation.labels))
        return splits
    splits = [_of_folder(TRAINING, training, data.folder.training, pixels)]
    labelled = data.folder.labelled
    if labelled is not None and data.labelled is not None and not _holds(data.folder.training, labelled):
        splits.append(_of_folder(LABELLED, data.labelled, labelled, pixels))
    if data.evaluation is not None and data.folder.evaluation is not None:
        splits.append(_of_folder(EVALUATION, data.evaluation, data.folder.evaluation, pixels))
    return splits


def _of_folder(role: str, source: Source, split: FolderSplit, pixels: Pixels) -> Split:
    names: Sequence[str] = split.files.keys if len(split.files.roots) == 1 else split.files
    # The source of images to evaluate on numbers its classes as the training images do.
    labels = source.labels if source.labels is not None else split.labels if split.classes else None
    if source.classes != split.classes and source.labels is None:
        labels = None
    labels = labels if labels is None else labels[: source.num_examples]
    return Split(role, source, pixels, labels, names, split.files)


def _holds(whole: FolderSplit, part: FolderSplit) -> bool:
    """Returns whether a split has all images of another."""
    if whole is part:
        return True
    every = set(zip(whole.files.of_root.tolist(), whole.files.keys, strict=True))
    return all(pair in every for pair in zip(part.files.of_root.tolist(), part.files.keys, strict=True))
