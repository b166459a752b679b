"""What to do about files that are no images: go on without them, say so, and stop when there are many."""

import contextlib
import pathlib
import sys
import threading
from collections.abc import Iterator

import tensorflow as tf

from simsiam_tf.errors import UsageError

# File names need not be UTF-8.
_ENCODING: dict = {"encoding": "utf-8", "errors": "surrogateescape"}


class Report:
    """A file of the bad images' paths, one line for each, also where two sources share the image.

    Args:
        file: lines are added to what it holds.
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


class BadImages:
    """The images of a source that could not be read; filled by the threads of tf.data.

    Args:
        source: name of the source, for messages.
        num_examples: of the source.
        max_fraction: the run stops when a greater share of them is bad.
    """

    def __init__(self, source: str, num_examples: int, max_fraction: float):
        self._source = source
        self._num_examples = num_examples
        self._max_fraction = max_fraction
        self._seen: dict[str, str] = {}
        self._report: Report | None = None
        self._parts: list[BadImages] = []
        self._lock = threading.Lock()

    def out_of(self, num_examples: int) -> "BadImages":
        """The same for a part of the source, with a count and a limit of its own."""
        part = BadImages(self._source, num_examples, self._max_fraction)
        part._report = self._report
        self._parts.append(part)
        return part

    def __len__(self) -> int:
        return len(self._seen)

    @property
    def too_many(self) -> bool:
        """Whether the source is not worth going on with."""
        return len(self) > self._max_fraction * self._num_examples

    def list_in(self, report: "Report") -> None:
        """Has each bad image's path added to a report, which several sources may share."""
        self._report = report
        for part in self._parts:
            part.list_in(report)

    def add(self, path: str, error: Exception) -> None:
        """Notes that an image could not be read.

        Args:
            path: where it is.
            error: what reading it raised.

        Raises:
            UsageError: if that makes too many.
        """
        with self._lock:
            if path not in self._seen:
                self._seen[path] = " ".join(str(error).split()) or type(error).__name__
                shown = path.encode("utf-8", "backslashreplace").decode()
                print(f"warning: skipped an image that cannot be read: {shown}: {self._seen[path]}", file=sys.stderr)
                if self._report is not None:
                    self._report.add(path)
        if self.too_many:
            raise self._error()

    def _error(self):
        with self._lock:
            path, reason = next(iter(self._seen.items()))
        listed = f"; they are listed in {self._report.file}" if self._report else ""
        return UsageError(
            f"At most {self._max_fraction:.2%} of the {self._num_examples} images of {self._source} may be unreadable "
            f"(--max_bad_fraction){listed}. Received: {len(self)}, the first of them {path} ({reason})."
        )

    @contextlib.contextmanager
    def stopping_the_run(self) -> Iterator[None]:
        """Turns what tf.data makes of an error in one of its threads back into one sentence."""
        try:
            yield
        except tf.errors.OpError:
            for bad in self._with_parts():
                if bad.too_many:
                    raise bad._error() from None
            raise

    def _with_parts(self) -> Iterator["BadImages"]:
        yield self
        for part in self._parts:
            yield from part._with_parts()
