"""Shows the progress of long work: by a bar in a terminal, by one line a minute elsewhere.

Neither is shown if the logger `simsiam_tf` does not show ordinary messages.
"""

import logging
import shutil
import sys
import threading
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any

_log = logging.getLogger(__name__)

_LINE_EVERY_SECONDS = 60.0
_LIVE_EVERY_SECONDS = 1.0
# For each unit its size in seconds, and the number of seconds from which on it is used.
_UNITS = ((86_400, 2 * 86_400, "day"), (3600, 90 * 60, "hour"), (60, 90, "minute"))


def verbosity() -> int:
    """Returns the value of Keras' `verbose`: 1 (a bar) in a terminal, 2 (a line for each epoch) elsewhere, 0 if off."""
    if not _log.isEnabledFor(logging.INFO):
        return 0
    return 1 if sys.stdout.isatty() else 2


def duration(seconds: float) -> str:
    """Returns a duration in words, as `2 minutes`."""
    if seconds < 1:
        return "less than a second"
    size, _, name = next((unit for unit in _UNITS if seconds >= unit[1]), (1, 0, "second"))
    count = round(seconds / size)
    return f"{count:,} {name}{'' if count == 1 else 's'}"


class Progress:
    """Shows how much of some work is done, inside a `with` block.

    In a terminal this is a bar. Elsewhere it is one line a minute with the count, the total and the time left, and a
    line at the end. A thread logs the lines, so that they come even while a single step takes minutes.

    Args:
        what: the work, which begins each line.
        total: the number of units of the whole work.
        unit: the name of one unit.
        done: the number of units that were done earlier.
        ends: whether to show the bar, and the line at the end. Without them there are only the lines of each minute.
        shown: whether to show anything at all.
        live: whether a terminal shows the line of progress on stderr, anew each second, in place of Keras' bar. It
            needs no TensorFlow, and leaves stdout alone.

    Attributes:
        note: a text that follows the count in each line.

    Example:
        with Progress("Embedding cifar10/train", 50_000, "image") as progress:
            for batch in batches:
                embed(batch)
                progress.add(len(batch))
    """

    def __init__(
        self,
        what: str,
        total: int,
        unit: str,
        done: int = 0,
        *,
        ends: bool = True,
        shown: bool = True,
        live: bool = False,
    ) -> None:
        self._what, self._total, self._unit, self._done, self._ends = what, total, unit, done, ends
        self.note = ""
        has_bar = shown and ends and not live and verbosity() == 1
        self._bar = _bar(total, unit) if has_bar else None
        self._is_live = shown and live and verbosity() > 0 and sys.stderr.isatty()
        self._has_lines = shown and verbosity() > 0 and not self._is_live and (live or verbosity() == 2)
        self._start, self._done_before = time.monotonic(), done
        # Times and counts at the first and the last call of `add`.
        self._first: tuple[float, int] | None = None
        self._last = self._start, done
        self._ended: Any = threading.Event()

    def __enter__(self) -> "Progress":
        if self._bar is not None and self._done:
            self._bar.add(self._done)
        if self._has_lines or self._is_live:
            self._thread = threading.Thread(target=self._log_lines, daemon=True)
            self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._ended.set()
        if self._is_live:
            self._thread.join()  # it writes no line after this one
            _write_over("")
        if kind is None and (self._has_lines or self._is_live) and self._ends:
            counted = _count(self._done - self._done_before, self._unit)
            _log.info(f"{self._what}: {counted} in {duration(time.monotonic() - self._start)}{self.note}")

    def add(self, count: int, values: Sequence[tuple[str, float]] = ()) -> None:
        """Counts units that were done.

        Args:
            count: the number of units.
            values: names and values to show, as the loss.
        """
        self._done += count
        self._last = time.monotonic(), self._done
        self._first = self._first or self._last
        if values:
            self.note = "".join(f", {name} {value:.4g}" for name, value in values)
        if self._bar is not None:
            self._bar.add(count, list(values))

    def finish(self) -> None:
        """Completes the bar, for work that ends before all units are done."""
        if self._bar is not None:
            self._bar.update(self._total, finalize=True)

    def line(self) -> str:
        """Returns the line that says how far the work is."""
        counted = f"{self._what}: {self._done:,} of {_count(self._total, self._unit)}"
        left = self._seconds_left()
        if left is None:
            return f"{counted}{self.note}, after {duration(time.monotonic() - self._start)}"
        return f"{counted}{self.note}, {f'about {duration(left)} left' if left >= 1 else 'finishing'}"

    def _seconds_left(self) -> float | None:
        """Returns how long the rest will take at the pace so far, or `None` as long as nothing is done.

        From the second call of `add` on, what came before the first does not count: it may include compiling.
        """
        (end, done), (start, before) = self._last, self._first or self._last
        if done == before:
            start, before = self._start, self._done_before
        if done == before:
            return None
        return max(0, self._total - done) * (end - start) / (done - before)

    @property
    def done(self) -> int:
        """Counts the units that are done, those of earlier attempts included."""
        return self._done

    @property
    def seconds(self) -> float:
        """Returns the seconds from the start to the last call of `add`."""
        return self._last[0] - self._start

    def _log_lines(self) -> None:
        while self._is_live and not self._ended.wait(_LIVE_EVERY_SECONDS):
            _write_over(self.line())
        while not self._ended.wait(_LINE_EVERY_SECONDS):
            _log.info(self.line())


def _write_over(line: str) -> None:
    """Writes a line over the last one of the terminal."""
    columns = shutil.get_terminal_size().columns
    sys.stderr.write(f"\r{line[: columns - 1]}\x1b[K")
    sys.stderr.flush()


def _bar(total: int, unit: str) -> Any:
    import keras  # loads TensorFlow, which work on files does not need

    return keras.utils.Progbar(total, verbose=1, unit_name=unit)


def _count(number: int, unit: str) -> str:
    return f"{number:,} {unit}{'' if number == 1 else 's'}"
