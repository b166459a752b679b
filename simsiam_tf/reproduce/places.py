"""Finds places for pages, so that none is lost."""

import itertools
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from simsiam_tf.files import exists
from simsiam_tf.training.run_files import read_json


def place_of(root: pathlib.Path, name: str, page: Mapping[str, Any]) -> pathlib.Path:
    """Returns the place of a page: that of its name, or the first one with a number, `fig2_2`, that it may take.

    It may take the place of an earlier page if it has all of that page's runs, and the same accuracy. A page of fewer
    rows, of another width or by another probe thus stands beside the earlier one.

    Args:
        root: the folder of the pages.
        name: the name of the page, such as `fig2`.
        page: the content of the page, as its .json has it.

    Returns:
        The path without its ending.
    """
    for number in itertools.count(1):
        place = root / (name if number == 1 else f"{name}_{number}")
        there = [exists(root / f"{place.name}.{ending}") for ending in ("json", "md", "png")]
        if not any(there) or _has_all_of(page, root / f"{place.name}.json"):
            break
    return place


def _has_all_of(page: Mapping[str, Any], path: pathlib.Path) -> bool:
    """Returns whether a page has all runs of an earlier one; false if the earlier one cannot be read."""
    try:
        earlier = read_json(path)
        return earlier.get("probe") == page.get("probe") and _runs_of(earlier) <= _runs_of(page)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def _runs_of(page: Mapping[str, Any]) -> set[str]:
    """Returns the names of the runs of a page, whose rows are a list or, for Table 5, a mapping."""
    rows: Mapping[str, Any] | Sequence[Any] = page["rows"]
    return {run for row in (rows.values() if isinstance(rows, Mapping) else rows) for run in row["runs"]}
