"""Records images that cannot be read, lists them in a file, and stops a run that has too many of them."""

import dataclasses
import logging
import pathlib
import threading
from typing import NoReturn

from simsiam_tf.errors import UsageError
from simsiam_tf.files import append_text, printable, read_text

_log = logging.getLogger(__name__)


class UnreadableImages:
    """Counts and lists the unreadable images of a data set, and stops the run when there are too many.

    One object serves a data set and all its parts. Each part has its own count and its own limit, which is a fraction
    of the images in that part. Several threads may add images at the same time.

    Example:
        unreadable = UnreadableImages("cats/train", max_fraction=0.01)
        whole = unreadable.part(1000)
        unreadable.add(whole, "cats/train/7.jpg", OSError("image file is truncated"))

    Args:
        source: the name of the data set, for messages.
        max_fraction: the largest fraction of a part's images that may be unreadable.
    """

    def __init__(self, source: str, max_fraction: float):
        self.source = source
        self._max_fraction = max_fraction
        self._parts: list[Part] = []
        self._listed_in: SkippedList | None = None
        self._ended: UsageError | None = None
        self.is_closed = False
        self._lock = threading.Lock()

    def part(self, num_examples: int) -> "Part":
        """Starts a count for a part of the data set, or for all of it."""
        part = Part(num_examples)
        self._parts.append(part)
        return part

    def list_in(self, skipped: "SkippedList") -> None:
        """Writes the images to a list, which several data sets may share: those found so far, and later ones."""
        with self._lock:
            self._listed_in = skipped
            for part in self._parts:
                for path in part.reasons:
                    skipped.add(path)

    def add(self, part: "Part", path: str, error: Exception) -> None:
        """Records that an image could not be read, and prints a warning the first time.

        Args:
            part: the part of the data set that the image was read from.
            path: the place of the image, from `EncodedImages.locate`.
            error: the exception that reading it raised.

        Raises:
            UsageError: if the part has too many unreadable images.
        """
        with self._lock:
            if path not in part.reasons:
                part.reasons[path] = " ".join(str(error).split()) or type(error).__name__
                _log.warning(f"skipped an image that cannot be read: {printable(path)}: {part.reasons[path]}")
                if self._listed_in is not None:
                    self._listed_in.add(path)
        self._check(part)

    def close(self) -> None:
        """Says that no more images are needed: those that were to be read ahead are not."""
        self.is_closed = True

    def end(self, path: str, error: UsageError) -> NoReturn:
        """Ends the run for a reason that concerns all images, which one of them has shown.

        Args:
            path: the place of the image.
            error: the reason.

        Raises:
            UsageError: the reason, with the place of the image.
        """
        self._ended = type(error)(f"{str(error).rstrip('.')}, in {printable(path)}.")
        raise self._ended

    def check(self) -> None:
        """Checks whether the run must end: for a reason from `end`, or for the number of unreadable images in a part.

        Raises:
            UsageError: if so.
        """
        if self._ended is not None:
            raise self._ended
        for part in self._parts:
            self._check(part)

    def _check(self, part: "Part") -> None:
        if may_be_unreadable(len(part.reasons), part.num_examples, self._max_fraction):
            return
        with self._lock:
            path, reason = next(iter(part.reasons.items()))
        listed = f"; they are listed in {self._listed_in.file}" if self._listed_in else ""
        raise UsageError(
            f"At most {self._max_fraction:.2%} of the {part.num_examples} images of {self.source} may be unreadable, "
            f"and one in any case (--max_bad_fraction){listed}. "
            f"Received: {len(part.reasons)}, the first of them {printable(path)} ({reason})."
        ) from None


def may_be_unreadable(count: int, num_examples: int, max_fraction: float) -> bool:
    """Returns whether so many images may be unreadable. One of several always may be, so that it holds up no one.

    Args:
        count: the number of unreadable images.
        num_examples: the number of all images.
        max_fraction: the largest fraction of them that may be unreadable.
    """
    return count <= max(num_examples > 1, max_fraction * num_examples)


@dataclasses.dataclass(frozen=True, eq=False)
class Part:
    """Holds the unreadable images of a part of a data set.

    Attributes:
        num_examples: the number of images in the part, readable or not.
        reasons: the error message for the path of each unreadable image, in the order in which they were found.
    """

    num_examples: int
    reasons: dict[str, str] = dataclasses.field(default_factory=dict)


class SkippedList:
    """Lists the path of each skipped image in a file, a line for each, with control characters as escapes.

    A path is listed once, even if several data sets or several runs of a command skip the same image.

    Args:
        file: the file, which keeps the lines that it has.
    """

    def __init__(self, file: pathlib.Path):
        self.file = file
        self._lock = threading.Lock()
        text = read_text(file) if file.exists() else ""
        self._listed = set(text.split("\n"))

    def add(self, path: str) -> None:
        """Adds a path to the file, unless it is listed already."""
        # Bytes that are not UTF-8 stay as they are, so that the file has the image's real name.
        line = "".join(c if "\udc80" <= c <= "\udcff" else printable(c) for c in path)
        with self._lock:
            if line not in self._listed:
                self._listed.add(line)
                append_text(self.file, f"{line}\n")
