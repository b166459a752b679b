"""What to do about files that are no images: go on without them, say so, and stop when there are many."""

import contextlib
import pathlib
import sys
import threading
from collections.abc import Iterator

import tensorflow as tf

from simsiam_tf.config import UsageError

# File names need not be UTF-8.
_ENCODING: dict = {"encoding": "utf-8", "errors": "surrogateescape"}


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
        self._report: pathlib.Path | None = None
        self._listed: set[str] = set()
        self._lock = threading.Lock()

    def out_of(self, num_examples: int) -> "BadImages":
        """The same for a part of the source."""
        return BadImages(self._source, num_examples, self._max_fraction)

    def __len__(self) -> int:
        return len(self._seen)

    @property
    def too_many(self) -> bool:
        """Whether the source is not worth going on with."""
        return len(self) > self._max_fraction * self._num_examples

    def list_in(self, report: pathlib.Path) -> None:
        """Has each bad image's path added to a file, unless that holds it already."""
        self._report = report
        self._listed = set(report.read_text(**_ENCODING).splitlines()) if report.exists() else set()

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
                self._list(path)
        if self.too_many:
            raise self._error()

    def _list(self, path):
        if self._report is not None and path not in self._listed:
            self._listed.add(path)
            with self._report.open("a", **_ENCODING) as file:
                file.write(f"{path}\n")

    def _error(self):
        with self._lock:
            path, reason = next(iter(self._seen.items()))
        listed = f"; they are listed in {self._report}" if self._report else ""
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
            if self.too_many:
                raise self._error() from None
            raise
