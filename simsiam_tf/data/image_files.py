"""Reads images from files."""

import contextlib
import hashlib
import os
import pathlib
import typing
from collections.abc import Sequence
from typing import IO

import numpy as np

from simsiam_tf.config.pixels import Pixels
from simsiam_tf.data.encoded import EncodedImages
from simsiam_tf.data.unreadable import UnreadableImages
from simsiam_tf.errors import UsageError
from simsiam_tf.files import modified, opened_regular, read_regular, size_of_file

# No image of a size that can be trained on has a longer file.
_LONGEST_FILE = 1 << 30


@typing.final
class FolderImages(EncodedImages):
    """Reads the image files below a folder.

    Args:
        folder: the folder that the names of images are relative to.
        files: the path of each image, by position.
        unreadable: the record of the data set's unreadable images.
        pixels: the meaning of the pixels.
        names: the name of each image, by position; by default its path relative to the folder.
        sizes: the size that each file must have in bytes, `[N] int64`, -1 if there was none; by default any.
    """

    def __init__(
        self,
        folder: pathlib.Path,
        files: Sequence[str | pathlib.Path],
        unreadable: UnreadableImages,
        pixels: Pixels | None = None,
        names: Sequence[str] | None = None,
        sizes: np.ndarray | None = None,
    ):
        super().__init__(len(files), unreadable, pixels)
        self.folder = folder
        self._files = files
        self._names, self._sizes = names, sizes

    @property
    def are_files(self) -> bool:
        """Returns that `locate` gives the path of a file."""
        return True

    def load(self, position: int) -> bytes:
        """Reads the content of the file at a position.

        Raises:
            OSError: if there is no such file, or it cannot be read.
            UsageError: if it has another size than the index of its folder says.
        """
        content = read_file(self._files[position])
        if self._sizes is not None and len(content) != self._sizes[position] >= 0:
            raise UsageError(
                "A file was changed after the index of its folder was made; --index=rebuild makes the index again. "
                f"Received: {len(content)} bytes, {self._sizes[position]} in the index."
            )
        return content

    def locate(self, position: int) -> str:
        """Returns the path of a file."""
        return str(self._files[position])

    def name(self, position: int) -> str:
        """Returns the path of a file relative to the folder."""
        if self._names is not None:
            return self._names[position]
        return pathlib.Path(self._files[position]).relative_to(self.folder).as_posix()

    def fingerprint(self) -> str:
        """Returns a hash of the paths, sizes and modification times of all files."""
        digest = hashlib.sha256()
        for path in self._files:
            size = size_of_file(path)  # -1 for a broken link, which is reported when it is loaded
            state = f"{size}\0{modified(path)}" if size >= 0 else "missing"
            digest.update(f"{path}\0{state}\n".encode("utf-8", "surrogateescape"))
        return digest.hexdigest()[:16]


def read_file(path: str | pathlib.Path) -> bytes:
    """Reads a regular file. Anything else, such as a pipe, is refused without waiting for its content.

    Args:
        path: the path of the file.

    Raises:
        OSError: if it is no regular file, is longer than an image can be, or cannot be read.
    """
    return read_regular(path, _LONGEST_FILE)


def opened_file(path: str | pathlib.Path) -> contextlib.AbstractContextManager[tuple[IO[bytes], os.stat_result]]:
    """Opens a regular file inside a `with` block, which gets the file and its status.

    Args:
        path: the path of the file.

    Raises:
        OSError: if it is no regular file, is longer than an image can be, or cannot be read.
    """
    return opened_regular(path, _LONGEST_FILE)
