"""Writes a comparison of runs as text."""

import collections
from collections.abc import Iterator, Sequence

from simsiam_tf.files import printable
from simsiam_tf.runs.columns import columns_of
from simsiam_tf.runs.differences import (
    Differences,
    in_words,
    results_of,
    settings_that_differ,
    surroundings_that_differ,
)
from simsiam_tf.runs.known_run import KnownRun, short_names


def compared(runs: Sequence[KnownRun]) -> Iterator[str]:
    """Yields the lines of a comparison: settings, what else differs, and results.

    Args:
        runs: the runs.
    """
    names = [printable(name) for name in short_names(runs)]
    yield from _section("Settings", settings_that_differ(runs), names)
    yield from _section("Versions, devices and data", surroundings_that_differ(runs), names)
    yield "Results"
    results = results_of(runs)
    times = collections.Counter(name for name, _, _ in results)
    # How it was measured is told only where it tells two rows of the same name apart.
    rows = [[name, *values, *([how] if times[name] > 1 else [])] for name, values, how in results]
    measured = ["measured as"] if max(times.values()) > 1 else []
    yield from _indented(columns_of([[printable(text) for text in row] for row in rows], ["", *names, *measured]))


def _section(title: str, found: Differences, names: Sequence[str]) -> Iterator[str]:
    differing = len(found.values)
    yield f"{title}: {differing:,} differ, {found.equal:,} are equal"
    if differing:
        rows = [[printable(name), *(printable(in_words(v)) for v in values)] for name, values in found.values.items()]
        yield from _indented(columns_of(rows, ["", *names]))


def _indented(lines: Sequence[str]) -> Iterator[str]:
    yield from (f"  {line}" for line in lines)
