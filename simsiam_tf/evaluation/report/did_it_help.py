"""Shows in the report what the protocol did_it_help recorded: the sentence, a figure, and a table."""

from typing import Any

from simsiam_tf.evaluation.report.plots import Ranges, plot_ranges
from simsiam_tf.evaluation.report.reported_run import ReportedRun

_PREFIX = "did_it_help"


def answer_of(run: ReportedRun) -> dict[str, Any] | None:
    """Collects the answer that a run's summary.json holds, for the data set that the report shows.

    Args:
        run: the run.

    Returns:
        The `sentence`; `svg`, a figure of the accuracies, which is empty if there were no labels; and the `rows` of a
        table, each with a `measure`, a `network`, a `value` and a `difference`. If there is no answer, or it is
        damaged, `None`.
    """
    records, suffix = run.loaded.workdir.summary(), run.loaded.suffix
    answer = records.get(f"{_PREFIX}{suffix}")
    if answer is None:
        return None
    measured = [record for name, record in records.items() if _is_of_measure(name, suffix) and "title" in record]
    try:
        ranges = [_ranges(record) for record in measured]
        rows = [row for record in measured for row in _rows(record)]
    except (KeyError, TypeError, ValueError, AttributeError):  # it was changed by hand
        return None
    svg = plot_ranges(ranges, "top-1 accuracy, %, with 95 % intervals") if ranges else ""
    return {"sentence": str(answer["value"]), "svg": svg, "rows": rows}


def _is_of_measure(name: str, suffix: str) -> bool:
    """Returns whether a record is an accuracy on the data set whose records have this ending."""
    return name.startswith(f"{_PREFIX}_") and name.endswith(f"pct{suffix}")


def _ranges(record: dict[str, Any]) -> Ranges:
    others = {name: (other["value"], *other["interval"]) for name, other in record["others"].items()}
    return Ranges(record["title"], {**others, "this run": (record["value"], *record["interval"])})


def _rows(record: dict[str, Any]) -> list[dict[str, str]]:
    """Makes the rows of a measure: the other networks, then the run."""
    rows = []
    for name, other in record["others"].items():
        low, high = other["difference_interval"]
        gained = f"{other['difference']:+.2f} ({low:+.2f} to {high:+.2f}){' *' if other['told_apart'] else ''}"
        rows.append(_row(record["title"], name, other, gained))
    return [*rows, _row(record["title"], "this run", record, "")]


def _row(title: str, name: str, numbers: dict[str, Any], gained: str) -> dict[str, str]:
    low, high = numbers["interval"]
    shown = f"{numbers['value']:.2f} ({low:.2f} to {high:.2f})"
    return {"measure": title, "network": name, "value": shown, "difference": gained}
