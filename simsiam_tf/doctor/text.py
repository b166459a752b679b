"""Writes the rows of the doctor as a table for people, and as JSON for programs."""

import dataclasses
import shutil
import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

from simsiam_tf.doctor.checks import NOT_MEASURED, Result, worst

_STATE_WIDTH = len("not asked")
# Columns of a table that goes into a file, and the least of one in a terminal.
_COLUMNS, _LEAST_COLUMNS = 100, 60


def row(result: Result, name_width: int) -> Iterator[str]:
    """Yields the lines of a row: state, name and value, and below them what to do.

    Args:
        result: the row.
        name_width: the width of the column of names, in characters.
    """
    columns = max(_LEAST_COLUMNS, shutil.get_terminal_size((_COLUMNS, 24)).columns)
    margin = _STATE_WIDTH + name_width + 4
    head = f"{result.state:<{_STATE_WIDTH}}  {result.name:<{name_width}}  "
    # A path must stay in one piece, so that it can be copied.
    options: dict[str, Any] = {"width": columns, "break_long_words": False, "break_on_hyphens": False}
    yield from textwrap.wrap(f"{head}{result.value}", subsequent_indent=" " * margin, **options)
    if result.advice:
        indent = " " * margin
        yield from textwrap.wrap(
            result.advice, initial_indent=f"{indent}-> ", subsequent_indent=f"{indent}   ", **options
        )


def verdict(results: Sequence[Result]) -> str:
    """Returns the last line: whether the machine, or the run, is all right."""
    failed, warned = ([one.name for one in results if one.state == state] for state in ("fail", "warn"))
    asked = sum(one.state != "not asked" for one in results)
    unmeasured = sum(one.value == NOT_MEASURED for one in results)
    warnings = f"{len(warned)} warned ({', '.join(warned)})" + (f", {unmeasured} not measured" if unmeasured else "")
    if failed:
        return f"Not all right: {len(failed)} of {_counted(asked)} failed ({', '.join(failed)})" + (
            f"; {warnings}." if warned else "."
        )
    if warned:
        return f"No check failed, but of {_counted(asked)} {warnings}."
    rest = len(results) - asked
    of_run = f" {rest} more are about a run; for these add its flags, as for train.py." if rest else ""
    return f"All right: {_counted(asked)} passed.{of_run}"


def as_json(results: Sequence[Result]) -> dict[str, Any]:
    """Returns the rows and the state of the whole, of types that JSON knows."""
    return {"checks": [dataclasses.asdict(one) for one in results], "state": worst([one.state for one in results])}


def _counted(number: int) -> str:
    return f"{number} check{'' if number == 1 else 's'}"
