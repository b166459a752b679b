"""Opens data sets as sources, which give images and labels by position.

Any example can be read by its position. Therefore shuffling a whole set, resuming exactly and sharing examples between
hosts are simple arithmetic on positions. A folder of images is opened without loading TensorFlow.
"""

import contextlib
import dataclasses
import functools
import hashlib
import pathlib
import zlib
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Union

import numpy as np

from simsiam_tf.config.data import DataConfig
from simsiam_tf.data import scenes, shapes
from simsiam_tf.data.encoded import EncodedImages, SubsetImages
from simsiam_tf.data.folder import ImageFolder
from simsiam_tf.data.folder_split import FolderSplit
from simsiam_tf.data.image_files import FolderImages
from simsiam_tf.data.shards import ShardImages, open_shards
from simsiam_tf.data.unreadable import SkippedList, UnreadableImages
from simsiam_tf.errors import UsageError, check
from simsiam_tf.files import printable, size_of_file

if TYPE_CHECKING:
    import tensorflow as tf

# A set of images of one size is held in memory, as uint8, if it has at most this many bytes.
_MEMORY_LIMIT = 4 << 30


@dataclasses.dataclass(frozen=True)
class Source:
    """Holds the images of a split, and their labels if there are any.

    Attributes:
        name: the name of the data set and split, for messages and records, such as `cifar10/train`.
        num_examples: N, the number of images.
        labels: the labels, `[N] int64`, or `None`.
        num_classes: K, the number of classes; 0 without labels.
        images: encoded images; or, for small sets of images of one size, a tensor `[at least N, H, W, 3] uint8`.
        classes: the names of the classes, by label; empty if they have none.
    """

    name: str
    num_examples: int
    labels: np.ndarray | None
    num_classes: int
    images: Union["tf.Tensor", EncodedImages]
    classes: tuple[str, ...] = ()

    @property
    def files(self) -> EncodedImages | None:
        """Returns the encoded images; `None` if the images are in memory."""
        return self.images if isinstance(self.images, EncodedImages) else None

    @property
    def num_readable(self) -> int:
        """Counts the images, without those that were found to be unreadable so far."""
        return self.num_examples - (self.files.num_skipped if self.files else 0)

    @property
    def known_labels(self) -> np.ndarray:
        """Returns the labels of a source that must have them.

        Raises:
            ValueError: if the source has no labels.
        """
        if self.labels is None:
            raise ValueError(f"Only labelled images can be judged by. Received: {self.name}.")
        return self.labels

    def numbered_by(self, classes: tuple[str, ...]) -> "Source":
        """Returns the source with labels that number other images' classes, by their names.

        A source that has none of these classes loses its labels.

        Args:
            classes: the names of the classes, by the number to give.

        Raises:
            UsageError: if only some of the source's classes are among them.
        """
        if self.labels is None or self.classes == classes or not self.classes:
            return self
        number = {name: i for i, name in enumerate(classes)}
        unknown = [name for name in self.classes if name not in number]
        if len(unknown) == len(self.classes):
            return dataclasses.replace(self, labels=None, num_classes=0, classes=())
        if unknown:
            raise UsageError(
                f"{self.name} has class folders that the training set has not. "
                f"Received: {', '.join(map(printable, unknown[:5]))}."
            )
        new = np.array([number[name] for name in self.classes], np.int64)
        return dataclasses.replace(self, labels=new[self.labels], num_classes=len(classes), classes=classes)

    def name_of(self, position: int) -> str:
        """Returns the name of an example in lists of images: its file name, or its position if it has none."""
        return self.files.name(position) if self.files else str(position)

    def size_of(self, position: int) -> int:
        """Returns the size of an example's file in bytes; -1 if it has none of its own, or none that can be read."""
        return size_of_file(self.files.locate(position)) if self.files and self.files.are_files else -1

    @functools.cached_property
    def fingerprint(self) -> str:
        """Returns a string that identifies the images and their order."""
        images = (
            self.images.fingerprint() if isinstance(self.images, EncodedImages) else zlib.crc32(self.images.numpy())
        )
        meaning = self.files.pixels.fingerprint if self.files else ""
        return f"{self.name}:{self.num_examples}:{images}" + (f":{meaning}" if meaning else "")

    def first(self, count: int) -> "Source":
        """Returns a source of the first `count` examples; of all examples if `count` is 0 or exceeds their number."""
        if not 0 < count < self.num_examples:
            return self
        labels = None if self.labels is None else self.labels[:count]
        # The tensor is not cut, so that it is held in memory only once. Nothing reads beyond its first images.
        images = SubsetImages(self.files, range(count)) if self.files else self.images
        return dataclasses.replace(self, num_examples=count, labels=labels, images=images)

    def balanced(self, count: int) -> "Source":
        """Returns a source of about `count` examples, the same number of each class, in the order of this one.

        A hash of the names chooses them, so that the choice hangs neither on the order nor on chance. A class that has
        fewer examples gives all of them.

        Args:
            count: the number of examples; a source that has no more, or no labels, is returned as it is or cut off.
        """
        if count >= self.num_examples:
            return self
        if self.labels is None:
            return self.first(count)
        each = max(1, count // max(1, self.num_classes))
        names = (self.name_of(i).encode("utf-8", "surrogateescape") for i in range(self.num_examples))
        ranks = [int.from_bytes(hashlib.sha256(name).digest()[:8]) for name in names]
        order = np.lexsort((np.array(ranks, np.uint64), self.labels))
        labels = self.labels[order]
        starts = np.searchsorted(labels, labels)  # where the class of each example begins
        return self.subset(np.sort(order[np.arange(len(order)) - starts < each]))

    def subset(self, positions: np.ndarray) -> "Source":
        """Returns a source of the examples at some positions `[n]`, in this order."""
        if len(positions) == self.num_examples and np.array_equal(positions, np.arange(self.num_examples)):
            return self
        labels = None if self.labels is None else self.labels[positions]
        if self.files:
            images = SubsetImages(self.files, positions)
        else:
            import tensorflow as tf

            with tf.device("/cpu:0"):
                images = tf.gather(self.images, positions)
        return dataclasses.replace(self, num_examples=len(positions), labels=labels, images=images)


@contextlib.contextmanager
def listing_bad_images(sources: Iterable[Source], file: pathlib.Path | None) -> Iterator[None]:
    """Writes the paths of unreadable images to a file, for the images that are read inside a `with` block.

    If there are too many of them, tf.data fails with an error of its own. A UsageError then takes its place.

    Args:
        sources: the sources that are read; their subsets are included.
        file: the file that gets a line for each unreadable image; `None` writes no file.

    Raises:
        UsageError: if more than the allowed share of a source is unreadable.
    """
    import tensorflow as tf

    every = [source.files.unreadable for source in sources if source.files]
    if file is not None:
        skipped = SkippedList(file)
        for unreadable in every:
            unreadable.list_in(skipped)
    try:
        yield
    except tf.errors.OpError:  # tf.data raises this in place of the UsageError of one of its threads
        for unreadable in every:
            unreadable.check()
        raise


def memory_source(name: str, images: np.ndarray, labels: np.ndarray | None, num_classes: int = 0) -> Source:
    """Makes a source of images that are held in memory.

    Args:
        name: the name of the data set and split.
        images: the images, `[N, H, W, 3] uint8`.
        labels: the labels, `[N] int64`, or `None`.
        num_classes: K, the number of classes; 0 without labels.
    """
    import tensorflow as tf

    with tf.device("/cpu:0"):
        held = tf.constant(images)  # tf.data captures a tensor; it would copy an array into its graph
    return Source(name, len(images), labels, num_classes, held)


def open_source(config: DataConfig, split: str) -> Source:
    """Opens one split of a data set, with the labels of its own classes.

    Args:
        config: the settings of the data set.
        split: the name of the split. For a folder of images it is a sub-folder; if there is no training split, `train`
            means all images outside of the other splits.

    Returns:
        The source.

    Raises:
        UsageError: if there is no such data set or split, or the data set cannot be used.
    """
    if config.dataset == "shapes":
        if split not in shapes.SPLIT_SIZES:
            raise UsageError(
                f"The data set shapes has the splits {', '.join(shapes.SPLIT_SIZES)}. Received: {split!r}."
            )
        source = memory_source(f"shapes/{split}", *shapes.make_shapes(split), len(shapes.CLASS_NAMES))
        return dataclasses.replace(source, classes=shapes.CLASS_NAMES)
    if config.dataset == "made":
        known = ", ".join(scenes.SPLIT_SIZES)
        check(split in scenes.SPLIT_SIZES, f"The data set made has the splits {known}.", repr(split))
        return memory_source(f"made/{split}", scenes.make_scenes(split).images, None)
    if config.dataset == "folder":
        return folder_source(ImageFolder(config).split(split), config)
    if config.dataset == "shards":
        return _shard_source(config, split)
    return _tfds_source(config, split)


def folder_source(split: FolderSplit, config: DataConfig) -> Source:
    """Makes a source of one split of a folder of images."""
    unreadable = UnreadableImages(split.title, config.max_bad_fraction)
    names = None
    if len(split.files.roots) > 1 or config.file_list or config.labels:
        names = split.files.keys
    images = FolderImages(split.folder, split.files, unreadable, config.pixels, names, split.files.sizes)
    return Source(split.title, len(split.files), split.all_labels, len(split.classes), images, split.classes)


def _shard_source(config: DataConfig, split: str) -> Source:
    """Opens a split of prepared shards."""
    shards, name = open_shards(config, split), f"shards/{split}"
    images = ShardImages(shards, UnreadableImages(name, config.max_bad_fraction))
    return Source(name, len(shards.lengths), shards.labels, len(shards.classes), images, shards.classes)


def _tfds_source(config: DataConfig, split: str) -> Source:
    """Opens a split of TFDS: in memory if its images have one size and fit, otherwise record by record."""
    from simsiam_tf.data.tfds import TFDSImages

    images = TFDSImages(config)
    name = f"{config.dataset}/{split}"
    count = images.count(split)
    height, width, _ = images.shape
    fits = height is not None and width is not None and count * height * width * 3 <= _MEMORY_LIMIT
    if fits and images.streams:
        levels, labels, classes = images.read_all(split)
        return dataclasses.replace(memory_source(name, levels, labels, len(classes)), classes=classes)
    if config.input == "tensorflow":
        raise UsageError(
            "--input=tensorflow reads shards, which python -m simsiam_tf.cli.prepare makes of a data set of TFDS. "
            f"Received: --dataset={config.dataset}."
        )
    records, labels, classes = images.open_records(split, UnreadableImages(name, config.max_bad_fraction))
    return Source(name, count, labels, len(classes), records, classes)
