"""Where images come from. Every source gives any example by its position, which is what makes a
shuffle over the whole set, exact resume and sharding the same simple arithmetic everywhere."""

import contextlib
import dataclasses
import functools
import hashlib
import os
import pathlib
import zlib
from collections.abc import Callable, Iterable, Iterator

import numpy as np
import tensorflow as tf

from simsiam_tf.config.data import DataConfig
from simsiam_tf.data import shapes, tfds
from simsiam_tf.data.unreadable import BadImages, Report
from simsiam_tf.errors import UsageError
from simsiam_tf.files import expand

IMAGE_EXTENSIONS = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif")
# Sets of images of one size are held in memory, as uint8, up to this size.
_MEMORY_LIMIT = 4 << 30
_TRAIN_NAMES = ("train",)
EVAL_NAMES = ("validation", "val", "test")


@dataclasses.dataclass(frozen=True)
class Files:
    """Images that are read one by one, each from its own bytes.

    Attributes:
        load: position to encoded image.
        locate: position to where it is, for messages.
        bad: those that turned out to be no images.
        name: position to the file's name in its data set, as lists of images have it.
        fingerprint: another one where the files are others.
    """

    load: Callable[[int], bytes]
    locate: Callable[[int], str]
    bad: BadImages
    name: Callable[[int], str] = str
    fingerprint: Callable[[], str] = str


@dataclasses.dataclass(frozen=True)
class Source:
    """Images by position, and their labels where there are any.

    Attributes:
        name: for messages and records, as `cifar10/train`.
        num_examples: N.
        labels: `[N] int64`, or `None`.
        num_classes: K; 0 without labels.
        images: a tensor `[N, H, W, 3] uint8` where they are few and of one size, held in memory once; or files.
    """

    name: str
    num_examples: int
    labels: np.ndarray | None
    num_classes: int
    images: tf.Tensor | Files

    @property
    def files(self) -> Files | None:
        """The images' files, where there are any."""
        return self.images if isinstance(self.images, Files) else None

    @property
    def num_readable(self) -> int:
        """N, less the images that turned out to be unreadable so far."""
        return self.num_examples - (len(self.files.bad) if self.files else 0)

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
        """What lists of images call an example: its file's name, or where it has none its position."""
        return self.files.name(position) if self.files else str(position)

    @functools.cached_property
    def fingerprint(self) -> str:
        """The same for the same images in the same order."""
        held = self.images.fingerprint() if isinstance(self.images, Files) else zlib.crc32(self.images.numpy())
        return f"{self.name}:{self.num_examples}:{held}"

    def first(self, count: int) -> "Source":
        """The first `count` examples; all of them for 0 or for more than there are."""
        if not 0 < count < self.num_examples:
            return self
        labels = None if self.labels is None else self.labels[:count]
        images = self.images
        if isinstance(images, Files):
            images = dataclasses.replace(images, bad=images.bad.out_of(count))
        return dataclasses.replace(self, num_examples=count, labels=labels, images=images)

    def subset(self, positions: np.ndarray) -> "Source":
        """The examples at certain positions `[n]`, in that order."""
        if len(positions) == self.num_examples and np.array_equal(positions, np.arange(self.num_examples)):
            return self
        labels, images = None if self.labels is None else self.labels[positions], self.images
        if isinstance(images, Files):
            all_of = images

            def of_subset(function):
                return lambda i: function(int(positions[i]))

            images = dataclasses.replace(
                all_of,
                load=of_subset(all_of.load),
                locate=of_subset(all_of.locate),
                bad=all_of.bad.out_of(len(positions)),
                name=of_subset(all_of.name),
                fingerprint=lambda: f"{all_of.fingerprint()}:{zlib.crc32(np.asarray(positions, np.int64).tobytes())}",
            )
        else:
            with tf.device("/cpu:0"):
                images = tf.gather(images, positions)
        return dataclasses.replace(self, num_examples=len(positions), labels=labels, images=images)


@contextlib.contextmanager
def listing_bad_images(sources: Iterable[Source], file: pathlib.Path | None) -> Iterator[None]:
    """Lists unreadable images in a file, and has too many of them end the `with` block in one sentence.

    Args:
        sources: that are read.
        file: a line is added to it for each bad image; `None`: nowhere.

    Raises:
        UsageError: if more than the allowed share of a source is bad.
    """
    report = Report(file) if file is not None else None
    with contextlib.ExitStack() as stack:
        for source in sources:
            if source.files is not None:
                if report is not None:
                    source.files.bad.list_in(report)
                stack.enter_context(source.files.bad.stopping_the_run())
        yield


def memory_source(name: str, images: np.ndarray, labels: np.ndarray | None, num_classes: int = 0) -> Source:
    """A source of images `[N, H, W, 3] uint8` that lie in memory, once."""
    with tf.device("/cpu:0"):
        held = tf.constant(images)  # captured by tf.data, not copied into its graph
    return Source(name, len(images), labels, num_classes, held)


def open_source(config: DataConfig, split: str) -> Source:
    """Opens one split.

    Args:
        config: which data set.
        split: its name; for a folder, a sub-folder or `train` for the folder itself.

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
        images, labels = shapes.make_shapes(split)
        return memory_source(f"shapes/{split}", images, labels, len(shapes.CLASS_NAMES))
    if config.dataset == "folder":
        return _folder_source(config, split)
    return _tfds_source(config, split)


def open_eval_source(config: DataConfig) -> Source | None:
    """Opens the split to evaluate on; `None` where `--eval_split=auto` finds none."""
    if config.eval_split != "auto":
        return open_source(config, config.eval_split)
    if config.dataset == "shapes":
        return open_source(config, "test")
    if config.dataset == "folder":
        root = pathlib.Path(expand(config.data_dir))
        names: list[str] = [name for name in EVAL_NAMES if (root / name).is_dir()]
    else:
        names = [name for name in EVAL_NAMES if name in tfds.open_builder(config).info.splits]
    return open_source(config, names[0]) if names else None


def _folder_source(config: DataConfig, split: str) -> Source:
    root = pathlib.Path(expand(config.data_dir))
    if not root.is_dir():
        raise UsageError(f"--data_dir must be an existing folder of images. Received: {root}.")
    folder = root / split
    if not folder.is_dir():
        if split not in _TRAIN_NAMES:
            raise UsageError(f"There is no folder {split} in --data_dir. Received: {root}.")
        folder = root  # a folder without train/ and val/ is a training set as it stands
    files = _image_files(folder)
    if not files:
        raise UsageError(
            f"There is no image in {folder}; looked for {', '.join(IMAGE_EXTENSIONS)}, also in its sub-folders."
        )
    labels, num_classes = _labels_from_folders(root, folder, files)
    bad = BadImages(str(folder), len(files), config.max_bad_fraction)
    images = Files(
        lambda i: files[i].read_bytes(),
        lambda i: str(files[i]),
        bad,
        lambda i: files[i].relative_to(folder).as_posix(),
        lambda: _fingerprint(files),
    )
    return Source(str(folder), len(files), labels, num_classes, images)


def _image_files(folder: pathlib.Path) -> list[pathlib.Path]:
    """All images below a folder, in one fixed random order, so that the first few are of all classes."""
    files = sorted(
        pathlib.Path(parent, name)
        for parent, _, names in os.walk(folder, followlinks=True)
        for name in names
        if name.lower().endswith(IMAGE_EXTENSIONS) and not name.startswith(".")
    )
    return [files[i] for i in np.random.RandomState(0).permutation(len(files))]


def _fingerprint(files):
    digest = hashlib.sha256()
    for path in files:
        try:
            stat = path.stat()
            state = f"{stat.st_size}\0{stat.st_mtime_ns}"
        except OSError:  # a link to nowhere; reading it will be tried, and said
            state = "missing"
        digest.update(f"{path}\0{state}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()[:16]


def _labels_from_folders(root, folder, files):
    """Class folders are labels only where every image lies in one and there are at least two."""
    relative = [path.relative_to(folder).parts for path in files]
    if any(len(parts) < 2 for parts in relative):
        return None, 0
    # Every split is numbered by the training set's classes.
    training = root / "train" if (root / "train").is_dir() else folder
    classes = sorted({path.relative_to(training).parts[0] for path in _image_files(training)})
    unknown = sorted({parts[0] for parts in relative} - set(classes))
    if unknown:
        raise UsageError(f"{folder} has class folders that {training} has not. Received: {', '.join(unknown[:5])}.")
    if len(classes) < 2:
        return None, 0
    number = {name: i for i, name in enumerate(classes)}
    return np.array([number[parts[0]] for parts in relative], np.int64), len(classes)


def _tfds_source(config, split):
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
        images, labels = tfds.read_all(builder, split)
        return memory_source(name, images, labels, num_classes)
    labels, names, load = tfds.random_access(builder, split)
    bad = BadImages(name, count, config.max_bad_fraction)
    name_of = str if names is None else names.__getitem__
    files = Files(load, lambda i: f"{name}, example {i}", bad, name_of, lambda: builder.info.full_name)
    return Source(name, count, labels, num_classes, files)
