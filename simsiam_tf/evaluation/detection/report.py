"""Writes one HTML page about a run of transfer.py: curves, numbers and pictures. It needs no network to be read."""

import json
import pathlib
from collections.abc import Sequence
from typing import Any, Literal

from simsiam_tf.config.detection_data import DetectionDataConfig
from simsiam_tf.evaluation.detection.loaded_detector import LoadedDetector
from simsiam_tf.evaluation.detection.samples import MIN_SCORE
from simsiam_tf.evaluation.report import plots
from simsiam_tf.evaluation.report.numbers import number_rows
from simsiam_tf.evaluation.report.page import render, write_page
from simsiam_tf.evaluation.report.plots import Line
from simsiam_tf.training.environment import commit_of
from simsiam_tf.training.run_files import read_json

SAMPLES = 12  # images that the page shows
_LEFT_OUT = 5  # annotations left out that the page names; config.json, which it also holds, has all of them
_NAMED = 20  # classes that the description of the run names
# The figures: a label for the vertical axis, a caption, and the curves by their names in metrics.jsonl.
_PARTS = {
    "loss_class": "class",
    "loss_box": "box",
    "loss_mask": "mask",
    "loss_proposal_score": "proposal score",
    "loss_proposal_box": "proposal box",
}
_FIGURES: tuple[tuple[str, str, dict[str, str]], ...] = (
    ("loss", "loss, the sum of its parts", {"loss": "loss"}),
    ("part of the loss", "parts of the loss", _PARTS),
    ("learning rate", "learning rate", {"learning_rate": "learning rate"}),
    ("box AP, %", "average precision of boxes", {"box_ap": "AP", "box_ap50": "AP50", "box_ap75": "AP75"}),
    ("mask AP, %", "average precision of masks", {"mask_ap": "AP", "mask_ap50": "AP50", "mask_ap75": "AP75"}),
)
# The settings that the table of numbers shows after the name of a protocol.
_SHOWN = ("over", "test", "test_size", "short_side", "precise_bn_batches", "checkpoint", "step")


def write_report(run: LoadedDetector, out: pathlib.Path, pictures: Sequence[dict[str, str]], note: str = "") -> None:
    """Writes the page about a run. An older report of the same name is replaced.

    Args:
        run: the run.
        out: the path of the page, from `report_path`.
        pictures: the pictures, from `sample_pictures`.
        note: why there are no pictures; if empty, there are.
    """
    content, summary, name = read_json(run.workdir.config_path), run.workdir.summary(), run.workdir.root.name
    page = render(
        "detection.html.j2",
        title=f"Detector: {name}",
        about=_about(run, content),
        curves=curves(run.workdir.metrics()),
        numbers=number_rows({name: summary}, _SHOWN),
        per_class=_per_class(summary),
        left_out=_left_out(content),
        pictures=pictures,
        note=note,
        min_score=MIN_SCORE,
        config=json.dumps(content, indent=2),
        summary=json.dumps(summary, indent=2),
    )
    write_page(out, page, name)


def curves(metrics: Sequence[dict[str, Any]]) -> list[dict[str, str]]:
    """Draws the loss, the learning rate and the average precision over the steps.

    Args:
        metrics: the lines of metrics.jsonl.

    Returns:
        A dictionary for each figure, with the `svg` element and the `caption`. A figure without a point is left out.
    """
    figures = []
    for label, caption, names in _FIGURES:
        lines = [_line(metrics, name, legend, number) for number, (name, legend) in enumerate(names.items())]
        lines = [line for line in lines if len(line.x)]
        if lines:
            figures.append({"svg": plots.plot(lines, "step", label, floor=0.0), "caption": caption})
    return figures


def _line(metrics: Sequence[dict[str, Any]], name: str, legend: str, number: int) -> Line:
    points = [(line["step"], line[name]) for line in metrics if "step" in line and name in line]
    return Line(legend, [x for x, _ in points], [y for _, y in points], number)


def _about(run: LoadedDetector, content: dict[str, Any]) -> list[tuple[str, str]]:
    """Describes the run in pairs of a word and what is to be said of it."""
    config, data = run.config, content["data"]
    network, rate = config.backbone, config.optimizer
    masks = "boxes and masks" if config.detector.masks and data["has_masks"] else "boxes"
    images = f"{data['images']:,} images with {data['objects']:,} objects"
    classes = f"{len(data['classes'])}: {_names(data['classes'])}"
    side, batches = config.data.evaluation_side, config.run.precise_bn_batches
    statistics = f"estimated from {batches} training batches" if batches else "by moving averages"
    return [
        ("Recipe", config.recipe or "none"),
        ("Backbone", f"{network.arch}, width {network.width:g}, {network.stem} stem"),
        ("Began with", content.get("initial_weights") or "unknown: it was not recorded"),
        ("Finds", masks),
        ("Training images", f"{_place(config.data, 'train')}: {images}"),
        ("Classes", classes),
        ("Steps", f"{config.run.steps:,} of {config.data.global_batch_size} images, {config.devices.precision}"),
        ("Learning rate", f"{rate.learning_rate:g}, {_schedule(rate.milestones, rate.warmup_steps)}"),
        ("Evaluation", f"{_place(config.data, 'eval')}; shorter side {side} pixels, batch norm {statistics}"),
        ("Checkpoint", run.checkpoint),
        ("Commit", commit_of(content)),
    ]


def _place(data: DetectionDataConfig, part: Literal["train", "eval"]) -> str:
    """Names a data set and the part of it, by what the user gave."""
    annotations = data.train_annotations if part == "train" else data.eval_annotations
    folder = data.eval_dir if part == "eval" and data.eval_dir else data.data_dir
    return f"{data.dataset}{f' in {folder}' if folder else ''}, {annotations or f'split {data.split(part)}'}"


def _names(classes: Sequence[str]) -> str:
    more = len(classes) - _NAMED
    return ", ".join(classes[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def _schedule(milestones: Sequence[int], warmup_steps: int) -> str:
    steps = f"step{'s' if len(milestones) > 1 else ''} {', '.join(map(str, milestones))}"
    falls = f"divided by 10 at {steps}" if milestones else "never divided"
    return f"{falls}, after a warm-up of {warmup_steps:,} steps"


def _per_class(summary: dict[str, Any]) -> list[tuple[str, str]]:
    """Returns the classes with the average precision of their boxes, the best first; none if it was not recorded."""
    values = (summary.get("box_ap") or {}).get("per_class") or {}
    best_first = sorted(values.items(), key=lambda item: -1.0 if item[1] is None else item[1], reverse=True)
    return [(name, "-" if value is None else f"{value:.2f} %") for name, value in best_first]


def _left_out(content: dict[str, Any]) -> dict[str, Any]:
    """Counts the annotations of the training images that are broken, and names the first of them."""
    lines = content["data"].get("left_out") or []
    return {"count": len(lines), "lines": lines[:_LEFT_OUT], "more": max(0, len(lines) - _LEFT_OUT)}
