"""Records images that cannot be read, lists them in a file, and stops a run that has too many of them."""

import dataclasses
import logging
import pathlib
import threading

from simsiam_tf.errors import UsageError

_log = logging.getLogger(__name__)

# A path may hold bytes that are not UTF-8.
_ENCODING: dict = {"encoding": "utf-8", "errors": "surrogateescape"}


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
        self._lock = threading.Lock()

    def part(self, num_examples: int) -> "Part":
        """Starts a count for a part of the data set, or for all of it."""
        part = Part(num_examples)
        self._parts.append(part)
        return part

    def list_in(self, skipped: "SkippedList") -> None:
        """Writes the images that are added from now on to a list, which several data sets may share."""
        self._listed_in = skipped

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
                shown = path.encode("utf-8", "backslashreplace").decode()
                _log.warning(f"skipped an image that cannot be read: {shown}: {part.reasons[path]}")
                if self._listed_in is not None:
                    self._listed_in.add(path)
        self._check(part)

    def check(self) -> None:
        """Checks the number of unreadable images in every part.

        Raises:
            UsageError: if a part has too many unreadable images.
        """
        for part in self._parts:
            self._check(part)

    def _check(self, part: "Part") -> None:
        if len(part.reasons) <= self._max_fraction * part.num_examples:
            return
        with self._lock:
            path, reason = next(iter(part.reasons.items()))
        listed = f"; they are listed in {self._listed_in.file}" if self._listed_in else ""
        raise UsageError(
            f"At most {self._max_fraction:.2%} of the {part.num_examples} images of {self.source} may be unreadable "
            f"(--max_bad_fraction){listed}. Received: {len(part.reasons)}, the first of them {path} ({reason})."
        ) from None


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
    """Lists the path of each skipped image in a file.

    A path is listed once, even if several data sets or several runs of a command skip the same image.

    Args:
        file: the file, which keeps the lines that it has.
    """

    def __init__(self, file: pathlib.Path):
        self.file = file
        self._lock = threading.Lock()
        self._listed = set(file.read_text(**_ENCODING).splitlines()) if file.exists() else set()

    def add(self, path: str) -> None:
        """Adds a path to the file, unless it is listed already."""
        with self._lock:
            if path not in self._listed:
                self._listed.add(path)
                with self.file.open("a", **_ENCODING) as file:
                    file.write(f"{path}\n")
