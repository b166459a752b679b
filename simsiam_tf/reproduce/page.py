"""Writes an experiment's page: the paper's numbers beside ours, and the curves of Fig. 2 for every row."""

import dataclasses
import math
import pathlib
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from simsiam_tf.evaluation.report.plots import COLOURS
from simsiam_tf.files import write_json, write_text
from simsiam_tf.reproduce import verdicts
from simsiam_tf.reproduce.execution import seconds_of
from simsiam_tf.reproduce.experiments import Experiment, Row
from simsiam_tf.reproduce.outcomes import Outcome, outcome
from simsiam_tf.reproduce.places import place_of
from simsiam_tf.reproduce.probes import check_alike, top1_name
from simsiam_tf.reproduce.runs import Run
from simsiam_tf.training.environment import commit_of
from simsiam_tf.training.run_files import read_json

_LEGEND = (
    "shows: whether the runs show the claim. 'within noise': the difference is smaller than that between seeds.",
    "'undecided': too few epochs or seeds to tell, or a reference that learned too little. 'reference': what other",
    "rows are compared with. 'not run': --rows leaves it out; so long would it take. The limits are in",
    "simsiam_tf/reproduce/verdicts.py.",
)
_NOT_RUN = "not run"
_CURVES = (
    ("loss", "loss"),
    ("z_std_scaled", "std of z/|z| times sqrt(d)"),
    ("knn_top1", "kNN top-1, %"),
)


def write(
    root: pathlib.Path,
    name: str,
    experiment: Experiment,
    runs: Mapping[str, Sequence[Run]],
    probe: str,
    flags: Sequence[str],
    left_out: Mapping[str, Sequence[Run]] | None = None,
) -> tuple[pathlib.Path, str]:
    """Writes `<name>.md`, `<name>.json` and `<name>.png`; beside an earlier page that has other runs, with a number.

    Args:
        root: the folder to write to.
        name: the name of the experiment.
        experiment: the experiment.
        runs: the runs of each row, by recipe. All have finished or diverged.
        probe: the linear probe whose accuracy is compared, or `none` for kNN.
        flags: the flags of the command that the page shows, without --experiment and --workdir.
        left_out: the runs of further rows of the experiment, by recipe. The page says how long they would take.

    Returns:
        The path without its ending, and the text.
    """
    check_alike([run for of_row in runs.values() for run in of_row], probe)
    rows = _rows(experiment, runs, left_out or {}, probe)
    command = shlex.join(["python", "-m", "simsiam_tf.reproduce", f"--experiment={name}", *flags, "--workdir=W"])
    of_all = {"experiment": name, "title": experiment.title, "command": command, "probe": probe}
    of_all |= _about([run for of_row in runs.values() for run in of_row], probe)
    content = {**of_all, "rows": rows}
    place = place_of(root, name, content)
    write_json(place.with_suffix(".json"), content)
    text = _markdown(place.name, of_all, rows)
    write_text(place.with_suffix(".md"), text)
    curves = [(row["label"], runs[row["recipe"]][0].workdir.metrics()) for row in rows if row["recipe"] in runs]
    _draw(curves).savefig(place.with_suffix(".png"), dpi=110)
    return place, text


def _rows(
    experiment: Experiment, runs: Mapping[str, Sequence[Run]], left_out: Mapping[str, Sequence[Run]], probe: str
) -> list[dict[str, Any]]:
    """Returns the entries of the rows in the order of the experiment: those that were run and those left out."""
    outcomes = {recipe: outcome(of_row, probe) for recipe, of_row in runs.items()}
    every = [run for of_row in runs.values() for run in of_row]
    rows = []
    for row in experiment.rows:
        if row.recipe in runs:
            rows.append(_row(row, experiment, outcomes, runs[row.recipe]))
        elif row.recipe in left_out:
            rows.append(_row_left_out(row, left_out[row.recipe], every))
    return rows


def _row_left_out(row: Row, runs: Sequence[Run], others: Sequence[Run]) -> dict[str, Any]:
    """Returns the entries of a row that was not run: its claim, and how long the missing runs would take."""
    seconds = seconds_of([run for run in runs if not run.is_done], [*others, *runs])
    hours = None if seconds is None else seconds / 3600
    verdict = {"shows": _NOT_RUN, "text": ""}
    done = sum(run.is_done for run in runs)
    numbers = {**_numbers(Outcome(seeds=0)), "hours_missing": hours, "seeds_done": done, "seeds_planned": len(runs)}
    return {**row._asdict(), **numbers, "claim": verdicts.CLAIMS[row.claim].text, "verdict": verdict, "runs": []}


def _row(row: Row, experiment: Experiment, outcomes: Mapping[str, Outcome], runs: Sequence[Run]) -> dict[str, Any]:
    """Returns the entries of a row: its claim, its numbers and the verdict."""
    ours, reference = outcomes[row.recipe], outcomes[row.against or experiment.reference]
    verdict = verdicts.judge(row.claim, ours, reference, list(outcomes.values()))
    claim = "" if row.claim == "reference" else verdicts.CLAIMS[row.claim].text
    where = [run.workdir.root.name for run in runs]
    about = {"claim": claim, "verdict": dataclasses.asdict(verdict), "runs": where}
    return {**row._asdict(), **_numbers(ours), **about}


def _numbers(outcome: Outcome) -> dict[str, Any]:
    """Returns the fields of an outcome, with `None` in place of NaN, which JSON does not have."""
    values = dataclasses.asdict(outcome).items()
    return {key: None if isinstance(value, float) and math.isnan(value) else value for key, value in values}


def _about(runs: Sequence[Run], probe: str) -> dict[str, Any]:
    """Returns the entries that all rows share: the protocol, the hours of training, and the commits."""
    runs = list({run.workdir.root: run for run in runs}.values())
    summaries = [run.workdir.summary() for run in runs if run.workdir.is_finished()]
    # That of the untrained network is always the monitor's; evaluate.py may have replaced the other one.
    produced = summaries[0]["knn_top1_untrained" if probe == "none" else top1_name(probe)] if summaries else {}
    contents = [read_json(run.workdir.config_path) for run in runs]
    return {
        "protocol": {key: produced[key] for key in ("protocol", "k", "temperature", "test") if key in produced},
        "training_hours": sum(summary["wall_seconds"]["value"] for summary in summaries) / 3600,
        "commits": sorted({commit_of(content) for content in contents}),
    }


def _markdown(name: str, about: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> str:
    """Formats the page as Markdown."""
    protocol = about["protocol"].get("protocol", "no run finished")
    k = f", k {about['protocol']['k']}, T {about['protocol']['temperature']}" if "k" in about["protocol"] else ""
    lines = [
        f"## {about['title']}",
        "",
        f"`{about['command']}`",
        "",
        f"Ours: {protocol}{k}. {about['training_hours']:.1f} hours of training and monitoring, "
        f"commit {', '.join(about['commits'])}.",
        "",
        "| row | paper, linear % | ours % | loss | std | claim | shows | numbers |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        paper = "" if row["paper"] is None else f"{row['paper']:g}"
        spread = "" if row["spread"] is None else f" +- {row['spread']:.1f} ({row['seeds']} seeds)"
        ours = "diverged | | "
        if row["verdict"]["shows"] == _NOT_RUN:
            hours, done = row["hours_missing"], row["seeds_done"]
            ours = "not run" if hours is None else f"not run: {hours:.1f} hours"
            ours += f" ({done} of {row['seeds_planned']} seeds done) | | " if done else " | | "
        elif row["seeds"]:
            ours = f"{row['top1']:.1f}{spread} | {row['loss']:.3f} | {row['std']:.3f}"
        verdict = row["verdict"]
        lines.append(f"| {row['label']} | {paper} | {ours} | {row['claim']} | {verdict['shows']} | {verdict['text']} |")
    return "\n".join([*lines, "", *_LEGEND, "", f"![loss, std and kNN]({name}.png)", ""])


def _draw(curves: Sequence[tuple[str, list[dict]]]) -> Figure:
    """Draws the loss, the standard deviation and the kNN accuracy over the epochs, as in Fig. 2."""
    figure = Figure(figsize=(12, 4), layout="constrained", facecolor="white")
    for axes, (key, label) in zip(figure.subplots(1, len(_CURVES)), _CURVES, strict=True):
        for number, (name, lines) in enumerate(curves):
            points = [(line["epoch"], line[key]) for line in lines if key in line]
            style = {"color": COLOURS[number % len(COLOURS)], "linestyle": "-" if number < len(COLOURS) else "--"}
            axes.plot(*zip(*points, strict=True) if points else ((), ()), marker="o", markersize=3, label=name, **style)
        axes.set_xlabel("epoch")
        axes.set_ylabel(label)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.2)
    handles, labels = figure.axes[-1].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(4, len(labels)), frameon=False, fontsize=8)
    return figure
