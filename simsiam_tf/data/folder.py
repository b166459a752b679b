"""Reads a folder of image files, whose sub-folders may be classes."""

import hashlib
import os
import pathlib
import typing
from collections.abc import Sequence

import numpy as np

from simsiam_tf.config.data import DataConfig
from simsiam_tf.data.encoded import EncodedImages
from simsiam_tf.data.unreadable import UnreadableImages
from simsiam_tf.errors import UsageError
from simsiam_tf.files import expand

IMAGE_EXTENSIONS = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif")


@typing.final
class FolderImages(EncodedImages):
    """Reads the image files below a folder.

    Args:
        folder: the folder that the names of images are relative to.
        files: the path of each image, by position.
        unreadable: the record of the data set's unreadable images.
    """

    def __init__(self, folder: pathlib.Path, files: Sequence[pathlib.Path], unreadable: UnreadableImages):
        super().__init__(len(files), unreadable)
        self.folder = folder
        self._files = files

    def load(self, position: int) -> bytes:
        """Reads the content of the file at a position."""
        return self._files[position].read_bytes()

    def locate(self, position: int) -> str:
        """Returns the path of a file."""
        return str(self._files[position])

    def name(self, position: int) -> str:
        """Returns the path of a file relative to the folder."""
        return self._files[position].relative_to(self.folder).as_posix()

    def fingerprint(self) -> str:
        """Returns a hash of the paths, sizes and modification times of all files."""
        digest = hashlib.sha256()
        for path in self._files:
            try:
                stat = path.stat()
                state = f"{stat.st_size}\0{stat.st_mtime_ns}"
            except OSError:  # a broken link; it is reported when it is loaded
                state = "missing"
            digest.update(f"{path}\0{state}\n".encode("utf-8", "surrogateescape"))
        return digest.hexdigest()[:16]


def open_folder(config: DataConfig, split: str) -> tuple[FolderImages, np.ndarray | None, int]:
    """Opens one split of a folder of images.

    Args:
        config: the settings of the data set.
        split: the name of a sub-folder. If there is no sub-folder `train`, `train` means the whole folder.

    Returns:
        The images; their labels `[N] int64`, or `None` if the sub-folders are not classes; the number of classes K, or
        0 without labels.

    Raises:
        UsageError: if there is no such folder, if it holds no image, or if it has a class that the training set lacks.
    """
    root = pathlib.Path(expand(config.data_dir))
    if not root.is_dir():
        raise UsageError(f"--data_dir must be an existing folder of images. Received: {root}.")
    folder = root / split
    if not folder.is_dir():
        if split != "train":
            raise UsageError(f"There is no folder {split} in --data_dir. Received: {root}.")
        folder = root  # without a sub-folder train, the whole folder is the training set
    files = _image_files(folder)
    if not files:
        raise UsageError(
            f"There is no image in {folder}; looked for {', '.join(IMAGE_EXTENSIONS)}, also in its sub-folders."
        )
    labels, num_classes = _labels_from_folders(root, folder, files)
    unreadable = UnreadableImages(str(folder), config.max_bad_fraction)
    return FolderImages(folder, files, unreadable), labels, num_classes


def _image_files(folder: pathlib.Path) -> list[pathlib.Path]:
    """Finds all images below a folder, in a random order that is always the same.

    The order is random so that the first few images come from all classes.
    """
    files = sorted(
        pathlib.Path(parent, name)
        for parent, _, names in os.walk(folder, followlinks=True)
        for name in names
        if name.lower().endswith(IMAGE_EXTENSIONS) and not name.startswith(".")
    )
    return [files[i] for i in np.random.RandomState(0).permutation(len(files))]


def _labels_from_folders(
    root: pathlib.Path, folder: pathlib.Path, files: Sequence[pathlib.Path]
) -> tuple[np.ndarray | None, int]:
    """Labels each image by its class folder, and counts the classes.

    Returns `None` and 0 unless every image lies in a sub-folder and there are at least two of them.
    """
    relative = [path.relative_to(folder).parts for path in files]
    if any(len(parts) < 2 for parts in relative):
        return None, 0
    # The classes of the training set get the numbers, so that these are the same in every split.
    training = root / "train" if (root / "train").is_dir() else folder
    classes = sorted({path.relative_to(training).parts[0] for path in _image_files(training)})
    unknown = sorted({parts[0] for parts in relative} - set(classes))
    if unknown:
        raise UsageError(f"{folder} has class folders that {training} has not. Received: {', '.join(unknown[:5])}.")
    if len(classes) < 2:
        return None, 0
    number = {name: i for i, name in enumerate(classes)}
    return np.array([number[parts[0]] for parts in relative], np.int64), len(classes)
