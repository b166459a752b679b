"""Skips images that cannot be read, lists them in a file, and stops a run that has too many of them."""

import dataclasses
import pathlib
import sys
import threading

from simsiam_tf.errors import UsageError

# File names need not be UTF-8.
_ENCODING: dict = {"encoding": "utf-8", "errors": "surrogateescape"}


class UnreadableImages:
    """Counts and lists the unreadable images of a data set, and stops the run when there are too many.

    One object serves a data set and all parts of it. Each part has a count and a limit of its own: the limit is a
    share of the images in use. Threads of tf.data may add images at the same time.

    Example:
        unreadable = UnreadableImages("cats/train", max_fraction=0.01)
        whole = unreadable.part(1000)
        unreadable.add(whole, "cats/train/7.jpg", OSError("image file is truncated"))

    Args:
        source: name of the data set, for messages.
        max_fraction: greatest share of a part's images that may be unreadable.
    """

    def __init__(self, source: str, max_fraction: float):
        self.source = source
        self._max_fraction = max_fraction
        self._parts: list[Part] = []
        self._listed_in: SkippedList | None = None
        self._lock = threading.Lock()

    def part(self, num_examples: int) -> "Part":
        """Starts the count of a part of the data set, or of all of it."""
        part = Part(num_examples)
        self._parts.append(part)
        return part

    def list_in(self, skipped: "SkippedList") -> None:
        """Lists the images that are added from now on; several data sets may share the list."""
        self._listed_in = skipped

    def add(self, part: "Part", path: str, error: Exception) -> None:
        """Notes that an image could not be read.

        Args:
            part: the part of the data set that the image was read from.
            path: the image's location.
            error: the exception that reading it raised.

        Raises:
            UsageError: if the part has too many unreadable images.
        """
        with self._lock:
            if path not in part.reasons:
                part.reasons[path] = " ".join(str(error).split()) or type(error).__name__
                shown = path.encode("utf-8", "backslashreplace").decode()
                print(f"warning: skipped an image that cannot be read: {shown}: {part.reasons[path]}", file=sys.stderr)
                if self._listed_in is not None:
                    self._listed_in.add(path)
        self._check(part)

    def check(self) -> None:
        """Checks every part.

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
    """The unreadable images of a part of a data set.

    Attributes:
        num_examples: number of images, readable or not.
        reasons: for the path of each unreadable image, what reading it raised; in the order in which they were met.
    """

    num_examples: int
    reasons: dict[str, str] = dataclasses.field(default_factory=dict)


class SkippedList:
    """A file with the path of each skipped image, once, even if several data sets or runs of a command meet it.

    Args:
        file: the file, to which lines are added.
    """

    def __init__(self, file: pathlib.Path):
        self.file = file
        self._lock = threading.Lock()
        self._listed = set(file.read_text(**_ENCODING).splitlines()) if file.exists() else set()

    def add(self, path: str) -> None:
        """Adds a path, unless the file holds it."""
        with self._lock:
            if path not in self._listed:
                self._listed.add(path)
                with self.file.open("a", **_ENCODING) as file:
                    file.write(f"{path}\n")
