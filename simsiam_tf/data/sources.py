"""Where images come from. Every source gives any example by its position, which is what makes a
shuffle over the whole set, exact resume and sharding the same simple arithmetic everywhere."""

import contextlib
import dataclasses
import functools
import pathlib
import zlib
from collections.abc import Iterable, Iterator

import numpy as np
import tensorflow as tf

from simsiam_tf.config.data import DataConfig
from simsiam_tf.data import shapes, tfds
from simsiam_tf.data.encoded import EncodedImages, SubsetImages
from simsiam_tf.data.folder import open_folder
from simsiam_tf.data.unreadable import SkippedList, UnreadableImages
from simsiam_tf.errors import UsageError
from simsiam_tf.files import expand

# Sets of images of one size are held in memory, as uint8, up to this size.
_MEMORY_LIMIT = 4 << 30
_EVAL_NAMES = ("validation", "val", "test")


@dataclasses.dataclass(frozen=True)
class Source:
    """Images by position, and their labels where there are any.

    Attributes:
        name: the data set and split, for messages and records, as `cifar10/train`.
        num_examples: N.
        labels: `[N] int64`, or `None`.
        num_classes: K; 0 without labels.
        images: a tensor `[N, H, W, 3] uint8` for few images of one size, held in memory once; or encoded images.
    """

    name: str
    num_examples: int
    labels: np.ndarray | None
    num_classes: int
    images: tf.Tensor | EncodedImages

    @property
    def files(self) -> EncodedImages | None:
        """The encoded images; `None` for images in memory."""
        return self.images if isinstance(self.images, EncodedImages) else None

    @property
    def num_readable(self) -> int:
        """N, less the images that turned out to be unreadable so far."""
        return self.num_examples - (self.files.num_skipped if self.files else 0)

    @property
    def known_labels(self) -> np.ndarray:
        """`labels`, where there must be some.

        Raises:
            ValueError: if there are none.
        """
        if self.labels is None:
            raise ValueError(f"Only labelled images can be judged by. Received: {self.name}.")
        return self.labels

    def name_of(self, position: int) -> str:
        """Names an example as lists of images do: by its file's name, or by its position if it has none."""
        return self.files.name(position) if self.files else str(position)

    @functools.cached_property
    def fingerprint(self) -> str:
        """The same for the same images in the same order."""
        images = (
            self.images.fingerprint() if isinstance(self.images, EncodedImages) else zlib.crc32(self.images.numpy())
        )
        return f"{self.name}:{self.num_examples}:{images}"

    def first(self, count: int) -> "Source":
        """Takes the first `count` examples; all of them for 0 or for more than there are."""
        if not 0 < count < self.num_examples:
            return self
        labels = None if self.labels is None else self.labels[:count]
        # A tensor stays whole: it is held once, and only its first images are asked for.
        images = SubsetImages(self.files, range(count)) if self.files else self.images
        return dataclasses.replace(self, num_examples=count, labels=labels, images=images)

    def subset(self, positions: np.ndarray) -> "Source":
        """Takes the examples at certain positions `[n]`, in that order."""
        if len(positions) == self.num_examples and np.array_equal(positions, np.arange(self.num_examples)):
            return self
        labels = None if self.labels is None else self.labels[positions]
        if self.files:
            images = SubsetImages(self.files, positions)
        else:
            with tf.device("/cpu:0"):
                images = tf.gather(self.images, positions)
        return dataclasses.replace(self, num_examples=len(positions), labels=labels, images=images)


@contextlib.contextmanager
def listing_bad_images(sources: Iterable[Source], file: pathlib.Path | None) -> Iterator[None]:
    """Lists unreadable images in a file, and has too many of them end the `with` block in one sentence.

    Args:
        sources: the sources that are read; parts of them are included.
        file: the file to which a line is added for each unreadable image; `None`: none.

    Raises:
        UsageError: if more than the allowed share of a source is unreadable.
    """
    every = [source.files.unreadable for source in sources if source.files]
    if file is not None:
        skipped = SkippedList(file)
        for unreadable in every:
            unreadable.list_in(skipped)
    try:
        yield
    except tf.errors.OpError:  # tf.data raises it in place of the UsageError of one of its threads
        for unreadable in every:
            unreadable.check()
        raise


def memory_source(name: str, images: np.ndarray, labels: np.ndarray | None, num_classes: int = 0) -> Source:
    """Makes a source of images `[N, H, W, 3] uint8` in memory, which holds them once.

    Args:
        name: the data set and split.
        images: `[N, H, W, 3] uint8`.
        labels: `[N] int64`, or `None`.
        num_classes: K; 0 without labels.
    """
    with tf.device("/cpu:0"):
        held = tf.constant(images)  # captured by tf.data, not copied into its graph
    return Source(name, len(images), labels, num_classes, held)


def open_source(config: DataConfig, split: str) -> Source:
    """Opens one split.

    Args:
        config: the data set.
        split: name of the split; for a folder, a sub-folder or `train` for the folder itself.

    Returns:
        The source.

    Raises:
        UsageError: if there is no such data set or split.
    """
    if config.dataset == "shapes":
        if split not in shapes.SPLIT_SIZES:
            raise UsageError(
                f"The data set shapes has the splits {', '.join(shapes.SPLIT_SIZES)}. Received: {split!r}."
            )
        return memory_source(f"shapes/{split}", *shapes.make_shapes(split), len(shapes.CLASS_NAMES))
    if config.dataset == "folder":
        images, labels, num_classes = open_folder(config, split)
        return Source(str(images.folder), images.num_examples, labels, num_classes, images)
    return _tfds_source(config, split)


def open_eval_source(config: DataConfig) -> Source | None:
    """Opens the split to evaluate on; `None` where `--eval_split=auto` finds none."""
    if config.eval_split != "auto":
        return open_source(config, config.eval_split)
    if config.dataset == "shapes":
        return open_source(config, "test")
    if config.dataset == "folder":
        root = pathlib.Path(expand(config.data_dir))
        names: list[str] = [name for name in _EVAL_NAMES if (root / name).is_dir()]
    else:
        names = [name for name in _EVAL_NAMES if name in tfds.open_builder(config).info.splits]
    return open_source(config, names[0]) if names else None


def _tfds_source(config: DataConfig, split: str) -> Source:
    builder = tfds.open_builder(config)
    name = f"{config.dataset}/{split}"
    try:
        count = builder.info.splits[split].num_examples
    except (KeyError, ValueError) as error:
        known = ", ".join(builder.info.splits)
        raise UsageError(f"The data set {config.dataset} has the splits {known}. Received: {split!r}.") from error
    num_classes = tfds.num_classes(builder)
    shape = builder.info.features["image"].shape
    if None not in shape and count * int(np.prod(shape)) <= _MEMORY_LIMIT:
        return memory_source(name, *tfds.read_all(builder, split), num_classes)
    records, labels = tfds.open_records(builder, split, UnreadableImages(name, config.max_bad_fraction))
    return Source(name, count, labels, num_classes, records)
