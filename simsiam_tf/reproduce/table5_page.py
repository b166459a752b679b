"""Writes the page of Table 5: the paper's average precision beside ours, with its spread over the seeds."""

import pathlib
import shlex
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from simsiam_tf.errors import UsageError
from simsiam_tf.evaluation.report.plots import COLOURS
from simsiam_tf.files import write_json, write_text
from simsiam_tf.reproduce.page import commits, hours
from simsiam_tf.reproduce.table5 import TransferRun
from simsiam_tf.reproduce.table5_rows import BOXES, MASKS, NAME, TRANSFER_SIZES, TransferRow

_KINDS = {"boxes": BOXES, "masks": MASKS}


def write(
    root: pathlib.Path,
    size: str,
    rows: Sequence[TransferRow],
    runs: Mapping[str, Sequence[TransferRun]],
    flags: Sequence[str],
) -> str:
    """Writes table5.md, table5.json and table5.png.

    Args:
        root: the folder to write to.
        size: a key of `TRANSFER_SIZES`.
        rows: the rows of the page.
        runs: the runs of each row, by its name. All have finished or diverged; a row may have none.
        flags: the flags of the command that the page shows.

    Returns:
        The text of table5.md.
    """
    entries = [_entry(row, size, runs[row.name]) for row in rows]
    transfers = [run for of_row in runs.values() for run in of_row]
    trained = [run.pretraining for run in transfers if run.pretraining is not None]
    about = {
        "experiment": NAME,
        "title": f"Transfer to detection, {TRANSFER_SIZES[size].title} (Sec. 6.1, Table 5)",
        "size": size,
        "command": shlex.join(["python", "-m", "simsiam_tf.reproduce", f"--experiment={NAME}", *flags]),
        "protocol": _protocol(transfers),
        "pretraining_hours": hours(trained),
        "transfer_hours": hours(transfers),
        "commits": commits([*trained, *transfers]),
    }
    write_json(root / f"{NAME}.json", {**about, "rows": entries})
    text = _markdown(about, entries)
    write_text(root / f"{NAME}.md", text)
    _draw(entries).savefig(root / f"{NAME}.png", dpi=110)
    return text


def _entry(row: TransferRow, size: str, runs: Sequence[TransferRun]) -> dict[str, Any]:
    """Returns the entries of a row: the paper's scores, and the mean and the spread of ours."""
    finished = [run for run in runs if run.workdir.is_finished()]
    return {
        "name": row.name,
        "label": row.label,
        "paper": row.paper(size),
        "ours": {name: _mean(name, finished) for name in _measured(size, finished)},
        "seeds": len(finished),
        "diverged": sum(run.has_diverged for run in runs),
        "diverged_in_pretraining": sum(run.lacks_backbone for run in runs),
        "runs": [run.workdir.root.name for run in runs],
        "pretraining": [run.pretraining.workdir.root.name for run in runs if run.pretraining is not None],
    }


def _measured(size: str, finished: Sequence[TransferRun]) -> list[str]:
    """Returns the names of the scores that the runs measured: those of masks only where the data set has masks."""
    if not finished:
        return []
    scores = [name for name in TRANSFER_SIZES[size].scores if name in BOXES]
    has_masks = all("mask_ap" in run.workdir.summary() for run in finished)
    return [*scores, *(name for name in TRANSFER_SIZES[size].scores if name in MASKS and has_masks)]


def _mean(name: str, finished: Sequence[TransferRun]) -> dict[str, Any]:
    """Returns the mean of a score over the seeds, its sample standard deviation (`None` for one seed), and its values.

    Raises:
        UsageError: if a run has no such score, as on images without objects.
    """
    values = []
    for run in finished:
        value = run.workdir.summary().get(name, {"value": None})["value"]
        if value is None:
            raise UsageError(f"Rows are compared by {name}, which needs objects. Received: {run.workdir.root}.")
        values.append(value)
    spread = statistics.stdev(values) if len(values) > 1 else None
    return {"mean": statistics.fmean(values), "std": spread, "values": values}


def _protocol(runs: Sequence[TransferRun]) -> dict[str, Any]:
    """Returns what the scores are, which is the same for all runs that finished; nothing if none did.

    Raises:
        UsageError: if two runs were measured on other images or by another measure.
    """
    found: dict[str, Any] = {}
    for run in (run for run in runs if run.workdir.is_finished()):
        record = run.workdir.summary().get("box_ap", {})
        protocol = {key: record.get(key) for key in ("protocol", "test", "test_size")}
        if found and protocol != found:
            raise UsageError(
                "Runs beside each other must be measured on the same images by the same measure; move this one away, "
                f"and the same command makes it anew. Received: {run.workdir.root}: {protocol}; others: {found}."
            )
        found = protocol
    return found


def _markdown(about: Mapping[str, Any], entries: Sequence[Mapping[str, Any]]) -> str:
    """Formats the page as Markdown."""
    protocol = about["protocol"]
    measured = f"{protocol['protocol']}, {protocol['test_size']} images of {protocol['test']}" if protocol else ""
    # Without the scores that neither the paper nor any run has.
    parts = [
        (heading, which, names)
        for heading, names in _KINDS.items()
        for which in ("paper", "ours")
        if any(name in entry[which] for entry in entries for name in names)
    ]
    columns = [f"{which}: {heading}, AP50 / AP / AP75, %" for heading, which, _ in parts]
    lines = [
        f"## {about['title']}",
        "",
        f"`{about['command']}`",
        "",
        f"Ours: {measured or 'no run finished'}. {about['pretraining_hours']:.1f} hours of pre-training and "
        f"{about['transfer_hours']:.1f} hours of fine-tuning, commit {', '.join(about['commits']) or 'none'}.",
        "",
        f"| {' | '.join(['pre-training', *columns, 'runs'])} |",
        "|---" * (len(columns) + 2) + "|",
    ]
    for entry in entries:
        cells = [" / ".join(_number(entry[which].get(name)) for name in names) for _, which, names in parts]
        cells = ["" if not cell.strip(" /") else cell for cell in cells]
        lines.append(f"| {' | '.join([entry['label'], *cells, _of_runs(entry)])} |")
    return "\n".join([*lines, "", f"![average precision]({NAME}.png)", ""])


def _number(score: float | Mapping[str, Any] | None) -> str:
    """Formats a score: the paper's number, or ours with its spread over the seeds."""
    if score is None:
        return ""
    if not isinstance(score, Mapping):
        return f"{score:.1f}"
    return f"{score['mean']:.1f}" + ("" if score["std"] is None else f" +- {score['std']:.1f}")


def _of_runs(entry: Mapping[str, Any]) -> str:
    """Says how many runs a row has, and what became of those without a score."""
    if not entry["runs"]:
        return "not run: give --supervised"
    seeds = entry["seeds"]
    parts = [f"{seeds} seed{'s' if seeds > 1 else ''}"] if seeds else []
    parts += [f"{entry['diverged']} diverged"] if entry["diverged"] else []
    parts += [f"{entry['diverged_in_pretraining']} diverged in pre-training"] * (entry["diverged_in_pretraining"] > 0)
    return ", ".join(parts)


def _draw(entries: Sequence[Mapping[str, Any]]) -> Figure:
    """Draws the AP of each row as a bar, with its spread over the seeds and the paper's AP as a line."""
    kinds = [kind for kind in ("box", "mask") if any(f"{kind}_ap" in {**e["ours"], **e["paper"]} for e in entries)]
    figure = Figure(figsize=(6 * max(1, len(kinds)), 4), layout="constrained", facecolor="white")
    places = range(len(entries))
    for axes, kind in zip(figure.subplots(1, len(kinds), squeeze=False)[0] if kinds else [], kinds, strict=True):
        name = f"{kind}_ap"
        ours = [entry["ours"].get(name, {"mean": 0.0, "std": None}) for entry in entries]
        spread = [score["std"] or 0.0 for score in ours]
        bars = axes.bar(places, [score["mean"] for score in ours], yerr=spread, color=COLOURS[0], label="ours")
        axes.bar_label(bars, [f"{score['mean']:.1f}" if score["mean"] else "" for score in ours], padding=2)
        theirs = [(place, entry["paper"][name]) for place, entry in enumerate(entries) if name in entry["paper"]]
        if theirs:
            x, y = zip(*theirs, strict=True)
            axes.hlines(y, [p - 0.45 for p in x], [p + 0.45 for p in x], colors=COLOURS[1], label="paper")
        axes.set_xticks(places, [entry["label"] for entry in entries], rotation=30, ha="right")
        axes.set_ylabel(f"AP of {'boxes' if kind == 'box' else 'masks'}, %")
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, fontsize=8)
    return figure
