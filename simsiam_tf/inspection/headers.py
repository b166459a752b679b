"""Reads the header and the last bytes of image files, without decoding a picture."""

import dataclasses
import hashlib
import os
import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from simsiam_tf.data.decoding import open_image
from simsiam_tf.data.pixels import orientation, upright_size
from simsiam_tf.data.sight import has_pages, has_unused_channels
from simsiam_tf.host import usable_cores
from simsiam_tf.inspection.splits import Split
from simsiam_tf.inspection.threads import in_threads

# Files of the same size differ in their last bytes more than in their headers. A file system reads 4 KiB at a time.
TAIL = 4096
# Enough that the answers of a network's file system are waited for together.
_THREADS_PER_CORE = 8
_CHUNK = 256


@dataclasses.dataclass(eq=False)
class Headers:
    """Holds what the headers of images say.

    Attributes:
        positions: the positions of the images in their split, `[n]`.
        width, height: the size in pixels once the image is upright, `[n] int32`; 0 if it is unreadable.
        kind: the number of the image's kind in `kinds`, `[n] int16`; -1 if it is unreadable.
        kinds: the formats and modes of Pillow, such as `JPEG RGB`.
        turned, pages, channels: whether EXIF turns it, it has several pages, or channels that are not used, `[n] bool`.
        size: the size of the file in bytes, `[n] int64`; -1 if it has none.
        file: the device and the number of the file, `[n, 2] uint64`: two names of one file have the same.
        tail: a hash of the last `TAIL` bytes of a file, or of all pixels of an array, `[n, 2] uint64`.
        reasons: why an image is unreadable, by its index in these arrays.
    """

    positions: Sequence[int]
    width: np.ndarray
    height: np.ndarray
    kind: np.ndarray
    turned: np.ndarray
    pages: np.ndarray
    channels: np.ndarray
    size: np.ndarray
    file: np.ndarray
    tail: np.ndarray
    kinds: list[str] = dataclasses.field(default_factory=list)
    reasons: dict[int, str] = dataclasses.field(default_factory=dict)

    @classmethod
    def empty(cls, positions: Sequence[int]) -> "Headers":
        """Makes the arrays for images at some positions."""
        n = len(positions)
        return cls(
            positions,
            width=np.zeros(n, np.int32),
            height=np.zeros(n, np.int32),
            kind=np.full(n, -1, np.int16),
            turned=np.zeros(n, bool),
            pages=np.zeros(n, bool),
            channels=np.zeros(n, bool),
            size=np.full(n, -1, np.int64),
            file=np.zeros((n, 2), np.uint64),
            tail=np.zeros((n, 2), np.uint64),
        )

    @property
    def readable(self) -> np.ndarray:
        """Returns which images could be opened, `[n] bool`."""
        return self.kind >= 0


def read_headers(split: Split, positions: Sequence[int], add: Callable[[int], None]) -> Headers:
    """Reads the headers of some images of a split. An image that cannot be opened is recorded with the reason.

    Args:
        split: the split.
        positions: the positions of the images.
        add: a function that is told how many images were read.
    """
    headers = Headers.empty(positions)
    if split.in_memory:
        arrays: Any = split.source.images
        _describe_arrays(np.asarray(arrays), headers, add)
        return headers
    numbers: dict[str, int] = {}
    lock = threading.Lock()

    def read(chunk: Sequence[int]) -> None:
        for i in chunk:
            try:
                kind = _read(split, headers, i)
            except Exception as error:  # Pillow raises errors of many types
                headers.reasons[i] = reason_of(error)
            else:
                with lock:
                    headers.kind[i] = numbers.setdefault(kind, len(numbers))

    threads = _THREADS_PER_CORE * usable_cores()
    for chunk, _ in in_threads(read, range(len(positions)), _CHUNK, threads):
        add(len(chunk))
    headers.kinds = list(numbers)
    return headers


def _describe_arrays(arrays: np.ndarray, headers: Headers, add: Callable[[int], None]) -> None:
    height, width = arrays.shape[1:3]
    headers.width[:], headers.height[:], headers.kind[:], headers.kinds = width, height, 0, ["array RGB"]
    for i, position in enumerate(headers.positions):
        headers.tail[i] = digest_of_pixels(arrays[position])
        add(1)


def _read(split: Split, headers: Headers, i: int) -> str:
    """Reads one header, and returns the kind of the image."""
    with split.opened(headers.positions[i]) as content:
        if split.files is not None:
            status = os.fstat(content.fileno())
            headers.size[i] = status.st_size
            headers.file[i] = status.st_dev, status.st_ino
            content.seek(max(0, status.st_size - TAIL))
            headers.tail[i] = digest_of(content.read(TAIL))
            content.seek(0)
        image = open_image(content, split.pixels)
        headers.width[i], headers.height[i] = upright_size(image, split.pixels)
        headers.turned[i] = orientation(image, split.pixels) > 1
        headers.pages[i] = has_pages(image)
        headers.channels[i] = has_unused_channels(image)
        return f"{image.format} {image.mode}"


def digest_of(content: bytes) -> np.ndarray:
    """Returns a hash of bytes, `[2] uint64`."""
    return np.frombuffer(hashlib.blake2b(content, digest_size=16).digest(), np.uint64)


def digest_of_pixels(image: np.ndarray) -> np.ndarray:
    """Returns a hash of an image `[H, W, 3] uint8`, `[2] uint64`."""
    return digest_of(repr(image.shape).encode() + image.tobytes())


def reason_of(error: Exception) -> str:
    """Returns an error's message in one line."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(text.split()) or type(error).__name__
