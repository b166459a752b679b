"""Makes the table of runs, for people and for programs."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

from simsiam_tf.config.runs import Column
from simsiam_tf.files import printable
from simsiam_tf.runs.finding import DEPTH, Found
from simsiam_tf.runs.known_run import KnownRun, name_of

NOTHING = "-"
_SHORT_COMMIT = 9


@dataclasses.dataclass(frozen=True)
class _Kind:
    """Describes a column.

    Attributes:
        heading: the heading of the column.
        value: returns the value of a run; `None` if it has none.
        decimals: the number of decimals of a number; -1 for a text.
        of_transfer: which runs can have it: those of transfer.py, those of train.py, or both (`None`).
    """

    heading: str
    value: Callable[[KnownRun], Any]
    decimals: int = -1
    of_transfer: bool | None = None


def _short_commit(run: KnownRun) -> str | None:
    """Returns the commit, or the version of an installed package, which knows no commit."""
    if run.commit:
        return run.commit[:_SHORT_COMMIT]
    versions = run.content.get("versions")
    version = versions.get("simsiam_tf") if isinstance(versions, dict) else None
    return f"v{version}" if isinstance(version, str) and version else None


COLUMNS: dict[Column, _Kind] = {
    "name": _Kind("run", lambda run: name_of(run.root)),
    "recipe": _Kind("recipe", lambda run: run.config.recipe or None),
    "commit": _Kind("commit", _short_commit),
    "data": _Kind("data set", lambda run: run.data_set),
    "state": _Kind("state", lambda run: run.state),
    "knn": _Kind("best kNN, %", lambda run: run.best("knn_top1"), 2, of_transfer=False),
    "ap": _Kind("best box AP, %", lambda run: run.best("box_ap"), 2, of_transfer=True),
    "linear": _Kind("linear, %", lambda run: run.linear and run.linear[1], 2, of_transfer=False),
    "speed": _Kind("images/s", lambda run: run.latest("images_per_second"), 1),
}


def sorted_runs(runs: Sequence[KnownRun], column: Column) -> list[KnownRun]:
    """Returns the runs in the order of a column: texts by the alphabet, numbers with the best first.

    Runs without a value come last.

    Args:
        runs: the runs.
        column: the name of the column, as in --sort.
    """
    kind = COLUMNS[column]
    values = [(kind.value(run), run) for run in runs]
    known = [(value, run) for value, run in values if value is not None]
    is_number = kind.decimals >= 0
    known.sort(key=lambda pair: pair[0] if is_number else str(pair[0]), reverse=is_number)
    return [run for _, run in known] + [run for value, run in values if value is None]


def rows_of(runs: Sequence[KnownRun]) -> tuple[list[str], list[list[str]]]:
    """Returns the headings of the table, and a row of texts for each run.

    A column that is of runs of the other command alone is left out.
    """
    kinds = {run.is_transfer for run in runs}
    shown = [kind for kind in COLUMNS.values() if kind.of_transfer is None or kind.of_transfer in kinds]
    return [kind.heading for kind in shown], [[_text(kind, run) for kind in shown] for run in runs]


def _text(kind: _Kind, run: KnownRun) -> str:
    value = kind.value(run)
    if value is None:
        return NOTHING
    return f"{value:.{kind.decimals}f}" if kind.decimals >= 0 else printable(str(value))


def as_json(found: Found, runs: Sequence[KnownRun]) -> dict[str, Any]:
    """Returns the table as JSON knows it, with whole commits and unrounded numbers; `null` is what is missing.

    Args:
        found: what was found.
        runs: the runs in their order.
    """
    refused = [{"path": str(path), "reason": reason} for path, reason in found.refused]
    content = {"looked_at": found.looked_at, "runs": [_record(run) for run in runs], "not_opened": refused}
    return {"format": 1, **without_broken_characters(content)}


def _record(run: KnownRun) -> dict[str, Any]:
    probe, accuracy = run.linear or (None, None)
    return {
        "name": name_of(run.root),
        "path": str(run.root),
        "command": "transfer.py" if run.is_transfer else "train.py",
        "recipe": run.config.recipe or None,
        "commit": run.commit,
        "data": run.data_set,
        "state": run.state,
        "finished": run.is_finished,
        "running": run.is_running,
        "guard": run.guard_state,
        "done": run.done,
        "planned": run.planned,
        "unit": "steps" if run.is_transfer else "epochs",
        "knn": run.best("knn_top1"),
        "ap": run.best("box_ap"),
        "linear": accuracy,
        "linear_probe": probe,
        "images_per_second": run.latest("images_per_second"),
    }


def without_broken_characters(value: Any) -> Any:
    r"""Returns a value for JSON. Bytes of names that are not UTF-8, which strict parsers refuse, become `\xff`."""
    if isinstance(value, dict):
        return {without_broken_characters(key): without_broken_characters(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_broken_characters(item) for item in value]
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return value


def remarks(found: Found) -> list[str]:
    """Returns the lines below the table: how many folders were looked at, and what could not be opened."""
    folders = f"{found.looked_at:,} folder{'s' if found.looked_at != 1 else ''}"
    runs = f"{len(found.runs):,} run{'s' if len(found.runs) != 1 else ''}"
    lines = [f"Looked at {folders}, at most {DEPTH} levels deep, and found {runs}."]
    for path, reason in found.refused:
        lines.append(printable(f"Not opened: {name_of(path)}: {' '.join(reason.split())}"))
    return lines
