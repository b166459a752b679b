"""Repeats Table 5: pre-trains each row, fine-tunes detectors from it, and writes our numbers beside the paper's."""

import logging
import pathlib
import shlex
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from simsiam_tf.config.messages import RESULT
from simsiam_tf.config.transfer import TransferConfig
from simsiam_tf.errors import UsageError
from simsiam_tf.evaluation.report.plots import COLOURS
from simsiam_tf.files import write_json, write_text
from simsiam_tf.reproduce.config import ReproduceConfig
from simsiam_tf.reproduce.execution import carry_out, show, what_is_left
from simsiam_tf.reproduce.given_flags import shown_flags
from simsiam_tf.reproduce.places import place_of
from simsiam_tf.reproduce.runs import Planner
from simsiam_tf.reproduce.table5_plan import Transfer, plan_pretraining, plan_transfers
from simsiam_tf.reproduce.table5_rows import ROWS
from simsiam_tf.training.environment import commit_of
from simsiam_tf.training.run_files import read_json

_log = logging.getLogger(__name__)

_TITLE = "Transfer to detection and segmentation (Table 5)"
# The records that a row shows, in the paper's order.
_BOXES, _MASKS = ("box_ap50", "box_ap", "box_ap75"), ("mask_ap50", "mask_ap", "mask_ap75")


def run_table5(
    config: ReproduceConfig,
    planner: Planner,
    root: pathlib.Path,
    seed: int,
    config_of: Callable[[Sequence[str]], TransferConfig],
) -> pathlib.Path | None:
    """Carries out the runs that are missing, and writes the page. With --dry_run it only shows the runs.

    Args:
        config: the settings of the reproduction.
        planner: the planner of pre-training runs.
        root: the folder of the reproduction.
        seed: the first seed.
        config_of: the function that turns transfer.py's flags into settings.

    Returns:
        The path of the page, without its ending; `None` with --dry_run.

    Raises:
        UsageError: if flags are not valid, or a run fails for another reason than a divergence.
        Stopped: after SIGTERM or Ctrl-C, once the current run has saved its state.
    """
    pretraining = plan_pretraining(config, planner, seed)
    verbosity = [flag for flag in planner.extra if flag.startswith("--verbosity=")]
    transfers = plan_transfers(config, root, pretraining, seed, config_of, verbosity)
    every = [run for of_row in transfers.values() for run in of_row]
    if config.dry_run:
        show([*pretraining.values(), *every])
        missing = f"Pre-training: {what_is_left(list(pretraining.values()))} " if pretraining else ""
        _log.log(RESULT, f"{missing}Fine-tuning: {what_is_left(every)} Nothing was trained or written.")
        return None
    carry_out(list(pretraining.values()))
    failed = [run.workdir.root for run in pretraining.values() if not run.workdir.is_finished()]
    if failed:
        raise UsageError(
            f"A pre-training diverged, so that its row has no backbone; leave it out. Received: {failed[0]}."
        )
    carry_out(every)
    return write_page(config, root, transfers, shown_flags(config, seed, planner.extra))


def write_page(
    config: ReproduceConfig, root: pathlib.Path, transfers: Mapping[str, Sequence[Transfer]], flags: Sequence[str]
) -> pathlib.Path:
    """Writes `table5_SIZE.md`, `.json` and `.png`; beside an earlier page that has other runs, with a number.

    Args:
        config: the settings of the reproduction.
        root: the folder to write to.
        transfers: the runs of each row; all have finished or diverged.
        flags: the flags of the command that the page shows.

    Returns:
        The path without its ending.
    """
    rows = {name: _row(name, runs, config.size) for name, runs in transfers.items()}
    finished = [run.workdir for runs in transfers.values() for run in runs if run.workdir.is_finished()]
    masks = any("mask_ap" in workdir.summary() for workdir in finished)
    about = {
        "title": _TITLE,
        "size": config.size,
        "command": shlex.join(["python", "-m", "simsiam_tf.reproduce", *flags, "--workdir=W"]),
        "commits": sorted({commit_of(read_json(workdir.config_path)) for workdir in finished}),
        "hours": sum(workdir.summary()["wall_seconds"]["value"] for workdir in finished) / 3600,
    }
    content = {**about, "rows": rows}
    place = place_of(root, f"table5_{config.size}", content)
    write_json(place.with_suffix(".json"), content)
    write_text(place.with_suffix(".md"), _markdown(about, rows, masks, place.name))
    curves = {ROWS[name].label: runs[0].workdir.metrics() for name, runs in transfers.items()}
    _draw(curves).savefig(place.with_suffix(".png"), dpi=110)
    return place


def _row(name: str, runs: Sequence[Transfer], size: str) -> dict[str, Any]:
    """Returns the numbers of a row: the paper's, and the mean and the standard deviation of ours."""
    summaries = [run.workdir.summary() for run in runs if run.workdir.is_finished()]
    row, ours = ROWS[name], {}
    for key in (*_BOXES, *_MASKS):
        found = [summary[key]["value"] for summary in summaries if summary.get(key, {}).get("value") is not None]
        if found:
            ours[key] = {"mean": statistics.fmean(found), "values": found}
            ours[key]["spread"] = statistics.stdev(found) if len(found) > 1 else None
    paper = dict(zip(_BOXES, row.boxes.get(size, ()), strict=False))
    paper |= dict(zip(_MASKS, row.masks, strict=True)) if size == "coco" else {}
    where = [run.workdir.root.name for run in runs]
    return {"label": row.label, "paper": paper, "ours": ours, "diverged": len(runs) - len(summaries), "runs": where}


def _markdown(about: Mapping[str, Any], rows: Mapping[str, dict[str, Any]], masks: bool, name: str) -> str:
    """Formats the page as Markdown."""
    names = [*_BOXES, *(_MASKS if masks else ())]
    titles = [key.replace("_", " ").replace("ap", "AP") for key in names]
    has_paper = any(row["paper"] for row in rows.values())
    lines = [
        f"## {about['title']}, {about['size']}",
        "",
        f"`{about['command']}`",
        "",
        f"{about['hours']:.1f} hours of fine-tuning and evaluation, commit {', '.join(about['commits'])}. "
        + ("In brackets are the paper's numbers, percent." if has_paper else "The numbers are percent."),
        "",
        f"| pre-training | {' | '.join(titles)} |",
        "|---" * (1 + len(names)) + "|",
    ]
    for row in rows.values():
        cells = []
        for key in names:
            ours, paper = row["ours"].get(key), row["paper"].get(key)
            text = ("diverged" if row["diverged"] else "-") if ours is None else f"{ours['mean']:.1f}"
            text += f" +- {ours['spread']:.1f}" if ours and ours["spread"] is not None else ""
            cells.append(text + (f" ({paper:g})" if paper is not None else ""))
        # A mean over fewer runs than the other rows' must not look like theirs.
        lost = f", {row['diverged']} of {len(row['runs'])} runs diverged" if row["diverged"] else ""
        lines.append(f"| {row['label']}{lost} | {' | '.join(cells)} |")
    return "\n".join([*lines, "", f"![loss and average precision]({name}.png)", ""])


def _draw(curves: Mapping[str, list[dict]]) -> Figure:
    """Draws the loss, and the box AP50 of each evaluation, over the steps."""
    figure = Figure(figsize=(9, 4), layout="constrained", facecolor="white")
    for axes, (key, label) in zip(figure.subplots(1, 2), (("loss", "loss"), ("box_ap50", "box AP50, %")), strict=True):
        for number, (name, lines) in enumerate(curves.items()):
            points = [(line["step"], line[key]) for line in lines if key in line]
            xy = zip(*points, strict=True) if points else ((), ())
            axes.plot(*xy, marker="o", markersize=3, label=name, color=COLOURS[number % len(COLOURS)])
        axes.set_xlabel("step")
        axes.set_ylabel(label)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.2)
    handles, labels = figure.axes[-1].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(4, len(labels)), frameon=False, fontsize=8)
    return figure
