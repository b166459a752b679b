"""Defines sets of images that are read one by one, each from its own encoded bytes."""

import abc
import typing
import zlib

import numpy as np

from simsiam_tf.config.pixels import Pixels
from simsiam_tf.data.unreadable import UnreadableImages
from simsiam_tf.errors import UsageError
from simsiam_tf.files import is_refusal


class EncodedImages(abc.ABC):
    """Reads encoded images by position: the files of a folder, the records of a data set, or a subset of either.

    Args:
        num_examples: N, the number of images; positions go from 0 to N - 1.
        unreadable: the record of the data set's unreadable images, shared by all its subsets.
        pixels: the meaning of the pixels; by default that of ordinary photographs.
    """

    def __init__(self, num_examples: int, unreadable: UnreadableImages, pixels: Pixels | None = None):
        self.num_examples = num_examples
        self.unreadable = unreadable
        self.pixels = pixels or Pixels()
        self._skipped = unreadable.part(num_examples)

    @property
    def are_files(self) -> bool:
        """Returns whether `locate` gives the path of a file that holds the image alone."""
        return False

    @abc.abstractmethod
    def load(self, position: int) -> bytes:
        """Reads the encoded bytes of the image at a position."""

    @abc.abstractmethod
    def locate(self, position: int) -> str:
        """Returns the place of an image, for messages and for the list of skipped images."""

    @abc.abstractmethod
    def name(self, position: int) -> str:
        """Returns the name of an image within its data set, as published lists of images use it."""

    @abc.abstractmethod
    def fingerprint(self) -> str:
        """Returns a string that tells these images from others.

        The first n images of a data set have the same fingerprint as all of them; `Source.fingerprint` adds n.
        """

    @property
    def num_skipped(self) -> int:
        """Counts the images that were found to be unreadable so far."""
        return len(self._skipped.reasons)

    def skip(self, position: int, error: Exception) -> None:
        """Records that an image could not be read.

        Args:
            position: the position of the image.
            error: the exception that reading it raised.

        Raises:
            UsageError: if too many of these images are unreadable, or `error` is one itself: it then says what is to
                be decided for all images, and its message gets the name of this one.
            Exception: `error` itself, if a bucket refused the request for the image or did not answer.
        """
        if is_refusal(error):  # by a bucket: nothing is known of the image
            raise error
        if isinstance(error, UsageError):
            self.unreadable.end(self.locate(position), error)
        self.unreadable.add(self._skipped, self.locate(position), error)


@typing.final
class SubsetImages(EncodedImages):
    """Selects some of other encoded images.

    The unreadable images of a subset are counted and limited separately.

    Args:
        images: the images to select from.
        positions: the positions to select in `images`: an array `[n]`, or `range(n)` for the first n.

    Attributes:
        whole: the images that these were selected from.
    """

    def __init__(self, images: EncodedImages, positions: np.ndarray | range):
        super().__init__(len(positions), images.unreadable, images.pixels)
        self.whole = images
        self._positions = positions

    @property
    def are_files(self) -> bool:
        """Returns whether `locate` gives the path of a file that holds the image alone."""
        return self.whole.are_files

    def load(self, position: int) -> bytes:
        """Reads the encoded bytes of the image at a position of the subset."""
        return self.whole.load(int(self._positions[position]))

    def locate(self, position: int) -> str:
        """Returns the place of an image, for messages and for the list of skipped images."""
        return self.whole.locate(int(self._positions[position]))

    def name(self, position: int) -> str:
        """Returns the name of an image within its data set."""
        return self.whole.name(int(self._positions[position]))

    def fingerprint(self) -> str:
        """Returns the fingerprint of all images, with a checksum of the positions unless these are the first n."""
        whole = self.whole.fingerprint()
        if isinstance(self._positions, range):  # the first n images; `Source.fingerprint` adds n
            return whole
        return f"{whole}:{zlib.crc32(np.asarray(self._positions, np.int64).tobytes())}"
