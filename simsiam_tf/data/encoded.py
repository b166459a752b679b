"""Images that are read one by one, each from its own encoded bytes."""

import abc
import typing
import zlib

import numpy as np

from simsiam_tf.data.unreadable import UnreadableImages


class EncodedImages(abc.ABC):
    """Encoded images by position: the files of a folder, the records of a data set, or some of either.

    Args:
        num_examples: N.
        unreadable: the unreadable images of the data set, shared by all its parts.
    """

    def __init__(self, num_examples: int, unreadable: UnreadableImages):
        self.num_examples = num_examples
        self.unreadable = unreadable
        self._skipped = unreadable.part(num_examples)

    @abc.abstractmethod
    def load(self, position: int) -> bytes:
        """Reads an encoded image."""

    @abc.abstractmethod
    def locate(self, position: int) -> str:
        """Says in messages and lists where an image is."""

    @abc.abstractmethod
    def name(self, position: int) -> str:
        """Names an image within its data set, as published lists of images do."""

    @abc.abstractmethod
    def fingerprint(self) -> str:
        """Tells these images from others; the first few of a data set have the fingerprint of all."""

    @property
    def num_skipped(self) -> int:
        """Number of images that turned out to be unreadable so far."""
        return len(self._skipped.reasons)

    def skip(self, position: int, error: Exception) -> None:
        """Notes that an image could not be read.

        Args:
            position: the image's position.
            error: the exception that reading it raised.

        Raises:
            UsageError: if too many of these images are unreadable.
        """
        self.unreadable.add(self._skipped, self.locate(position), error)


@typing.final
class SubsetImages(EncodedImages):
    """Some of other encoded images. Unreadable ones are counted by themselves.

    Args:
        images: the other images.
        positions: positions in `images`: `[n]`, or `range(n)` for the first n.
    """

    def __init__(self, images: EncodedImages, positions: np.ndarray | range):
        super().__init__(len(positions), images.unreadable)
        self._images = images
        self._positions = positions

    def load(self, position: int) -> bytes:
        return self._images.load(int(self._positions[position]))

    def locate(self, position: int) -> str:
        return self._images.locate(int(self._positions[position]))

    def name(self, position: int) -> str:
        return self._images.name(int(self._positions[position]))

    def fingerprint(self) -> str:
        whole = self._images.fingerprint()
        if isinstance(self._positions, range):  # `Source.fingerprint` adds how many they are
            return whole
        return f"{whole}:{zlib.crc32(np.asarray(self._positions, np.int64).tobytes())}"
