"""An experiment's page: the paper's numbers beside ours, and the curves of Fig. 2 for every row."""

import dataclasses
import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from simsiam_tf.evaluation.plots import COLOURS
from simsiam_tf.reproduce import verdicts
from simsiam_tf.reproduce.experiments import Experiment
from simsiam_tf.reproduce.runs import Run, outcome, top1_name
from simsiam_tf.workdir import write_json

_CURVES = (
    ("loss", "loss"),
    ("z_std_scaled", "std of z/|z| times sqrt(d)"),
    ("knn_top1", "kNN top-1, %"),
)


def write(root: pathlib.Path, name: str, experiment: Experiment, runs: Mapping[str, Sequence[Run]], probe: str) -> str:
    """Writes `<name>.md`, `.json` and `.png`.

    Args:
        root: folder that they are written to.
        name: of the experiment.
        experiment: its rows.
        runs: of each row, all done.
        probe: the linear probe that accuracies are of, or `none` for kNN.

    Returns:
        The page's text.
    """
    outcomes = {row.recipe: outcome(runs[row.recipe], probe) for row in experiment.rows}
    reference = outcomes[experiment.reference]
    rows = []
    for row in experiment.rows:
        ours = outcomes[row.recipe]
        verdict = verdicts.judge(row.claim, ours, reference, list(outcomes.values()))
        claim = "" if row.claim == "reference" else verdicts.CLAIMS[row.claim].text
        where = [run.workdir.root.name for run in runs[row.recipe]]
        rows.append(
            {**row._asdict(), "claim": claim, **dataclasses.asdict(ours), "verdict": dataclasses.asdict(verdict)}
            | {"runs": where}
        )
    about = _about([run for of_row in runs.values() for run in of_row], probe)
    write_json(root / f"{name}.json", {"experiment": name, "title": experiment.title, **about, "rows": rows})
    text = _markdown(name, experiment.title, about, rows)
    (root / f"{name}.md").write_text(text)
    curves = [(row["label"], runs[row["recipe"]][0].workdir.metrics()) for row in rows]
    _draw(curves).savefig(root / f"{name}.png", dpi=110)
    return text


def _about(runs: Sequence[Run], probe: str) -> dict[str, Any]:
    """What all rows share: the protocol, and what the runs took."""
    runs = list({run.workdir.root: run for run in runs}.values())
    finished = [run for run in runs if run.workdir.is_finished()]
    protocol = {}
    if finished:
        produced = finished[0].workdir.summary()[top1_name(probe)]
        protocol = {key: produced[key] for key in ("protocol", "k", "temperature", "test") if key in produced}
    seconds = sum(run.workdir.summary()["wall_seconds"]["value"] for run in finished)
    contents = [json.loads(run.workdir.config_path.read_text()) for run in runs]
    return {
        "recipe_size": sorted({content["config"]["recipe"].rpartition("+")[2] for content in contents}),
        "protocol": protocol,
        "hours": seconds / 3600,
        "commits": sorted({str(content["git_commit"])[:7] for content in contents}),
    }


def _markdown(name, title, about, rows):
    protocol = about["protocol"].get("protocol", "no run finished")
    k = f", k {about['protocol']['k']}, T {about['protocol']['temperature']}" if "k" in about["protocol"] else ""
    lines = [
        f"## {title}",
        "",
        f"`python -m simsiam_tf.reproduce --experiment={name} --size={'+'.join(about['recipe_size'])}`; "
        f"ours: {protocol}{k}; {about['hours']:.1f} hours of training and monitoring; "
        f"commit {', '.join(about['commits'])}.",
        "",
        "| row | paper, linear % | ours % | loss | std | claim | shows | numbers |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        paper = "" if row["paper"] is None else f"{row['paper']:g}"
        spread = "" if row["spread"] is None else f" +- {row['spread']:.1f}"
        seeds = f" ({row['seeds']} seeds)" if row["seeds"] > 1 else ""
        verdict = row["verdict"]
        lines.append(
            f"| {row['label']} | {paper} | {row['top1']:.1f}{spread}{seeds} | {row['loss']:.3f} | {row['std']:.3f} "
            f"| {row['claim']} | {verdict['shows']} | {verdict['text']} |"
        )
    return "\n".join([*lines, "", f"![loss, std and kNN]({name}.png)", ""])


def _draw(curves: Sequence[tuple[str, list[dict]]]) -> Figure:
    """Loss, standard deviation and kNN over the epochs, as in Fig. 2."""
    figure = Figure(figsize=(12, 3.6), layout="constrained", facecolor="white")
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
    figure.axes[-1].legend(frameon=False, fontsize=7)
    return figure
