"""One page about one run or several: curves, numbers, spectra, neighbours, views, configuration; no network needed."""

import base64
import dataclasses
import datetime
import io
import json
import pathlib
from collections.abc import Sequence
from typing import Any

import jinja2
import numpy as np
from PIL import Image

import simsiam_tf
from simsiam_tf.augment import policies
from simsiam_tf.config.evaluation import ImagesConfig
from simsiam_tf.data.sources import Source, listing_bad_images
from simsiam_tf.errors import UsageError
from simsiam_tf.evaluation.loaded_run import Subject
from simsiam_tf.evaluation.report import plots
from simsiam_tf.evaluation.report.plots import Line
from simsiam_tf.evaluation.thumbnails import VISIBLE, thumbnails, view_rows
from simsiam_tf.features import metrics
from simsiam_tf.features.embed import Features
from simsiam_tf.features.nearest import nearest
from simsiam_tf.files import expand

_GENERATOR = "simsiam_tf"
_SAMPLES = 8
# The curves of Fig. 2 and two more: name in metrics.jsonl, what it is, a height to compare with, where the axis begins.
_CURVES: tuple[tuple[str, str, tuple[float, str] | None, float | None], ...] = (
    ("loss", "loss", (-1.0, "minimum"), None),
    ("z_std_scaled", "std of z/|z| times sqrt(d)", (1.0, "evenly spread"), 0.0),
    ("knn_top1", "kNN top-1, %", None, None),
    ("online_probe_top1", "online probe top-1, %", None, None),
    ("feature_effective_rank", "effective rank of the features", None, 0.0),
)
# Of what produced a number, what its row says besides the protocol.
_SHOWN = (
    *("k", "temperature", "optimizer", "base_learning_rate", "weight_decay", "epochs", "batch_size"),
    *("augmentation", "train", "train_size", "test"),
)


def run_report(subjects: Sequence[Subject], config: ImagesConfig) -> None:
    """Writes `report.html` about runs, into the folder of the first.

    Without the images it is written all the same, without the parts that show them.

    Args:
        subjects: the runs.
        config: where to write, and how many neighbours to show.

    Raises:
        UsageError: if a file that is no report is in the way.
    """
    out = pathlib.Path(expand(config.out)) if config.out else subjects[0].workdir.root / "report.html"
    if out.is_dir():
        raise UsageError(f"--out must be a file. Received: the folder {out}.")
    if out.exists() and f'name="generator" content="{_GENERATOR}' not in out.read_text(errors="replace")[:2000]:
        raise UsageError(
            f"A file that is no report of ours is in the way; move it away or give --out. Received: {out}."
        )
    names = _names([subject.workdir.root for subject in subjects])
    runs = [_Run(name, number, subject) for number, (name, subject) in enumerate(zip(names, subjects, strict=True))]
    page = _page(runs, config)
    out.parent.mkdir(parents=True, exist_ok=True)
    draft = out.with_name(f"{out.name}.tmp")
    draft.write_text(page, encoding="utf-8", errors="backslashreplace")  # names may have any bytes
    draft.replace(out)
    print(f"Wrote {out} ({len(page) / 2**20:.1f} MiB): {', '.join(names)}.")


@dataclasses.dataclass(frozen=True)
class _Run:
    name: str
    number: int
    subject: Subject

    def curve(self, metric: str) -> Line:
        points = [(line["epoch"], line[metric]) for line in self.subject.workdir.metrics() if metric in line]
        return Line(self.name, [x for x, _ in points], [y for _, y in points], self.number)


def _names(roots: Sequence[pathlib.Path]) -> list[str]:
    """The folders' names, or paths where names are the same."""
    short = [root.name for root in roots]
    return short if len(set(short)) == len(short) else [str(root) for root in roots]


def _page(runs: Sequence[_Run], config: ImagesConfig) -> str:
    folder = pathlib.Path(__file__).parent
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder), autoescape=True, undefined=jinja2.StrictUndefined
    )
    features, note = _features(runs)
    shown = [_about(run, features, config) for run in runs]
    title = f"SimSiam: {', '.join(run.name for run in runs)}"
    source = features[0][0] if features else None
    return environment.get_template("report.html.j2").render(
        title=title,
        generator=f"{_GENERATOR} {simsiam_tf.__version__}",
        date=datetime.datetime.now().strftime("%Y-%m-%d %H:%M"),
        runs=shown,
        curves=_curves(runs),
        numbers=_numbers(runs),
        spectra=_spectra(runs, features),
        spectrum_of=source.name if source else "no images, which were not found",
        images_of=source.name if source else "",
        labelled=source is not None and source.labels is not None,
        note=note,
        pixelated=runs[0].subject.image_size < VISIBLE,
    )


def _features(runs: Sequence[_Run]) -> tuple[list[tuple[Source, Features]], str]:
    """Each run's images and their features; none, and why, where the images are not there."""
    found = []
    try:
        for run in runs:
            source = run.subject.test_source or run.subject.train_source
            with listing_bad_images([source, run.subject.train_source], run.subject.workdir.skipped_path):
                found.append((source, run.subject.features(source)))
    except UsageError as error:
        return [], f"Without images: {error}"
    return found, ""


def _about(run: _Run, features: Sequence[tuple[Source, Features]], config: ImagesConfig) -> dict[str, Any]:
    subject, settings = run.subject, run.subject.run
    content = json.loads(subject.workdir.config_path.read_text())
    commit = (content.get("git_commit") or "unknown commit")[:9]
    return {
        "name": run.name,
        "colour": plots.COLOURS[run.number % len(plots.COLOURS)],
        "what": f"{settings.recipe}, {settings.model.arch} on {settings.data.dataset}, {settings.run.epochs} epochs, "
        f"{subject.checkpoint}, {commit}",
        "augmentation": settings.augment.augmentation,
        "config": json.dumps(content, indent=2),
        "summary": json.dumps(subject.workdir.summary(), indent=2),
        "neighbours": _neighbours(subject, *features[run.number], config.num_neighbours) if features else [],
        "views": _views(subject) if features and not subject.suffix else [],
    }


def _curves(runs: Sequence[_Run]) -> list[dict[str, str]]:
    figures = []
    for metric, label, guide, floor in _CURVES:
        lines = [line for run in runs if len((line := run.curve(metric)).x)]
        if lines:
            figures.append({"svg": plots.plot(lines, "epoch", label, guide, floor), "caption": label})
    return figures


def _numbers(runs: Sequence[_Run]) -> list[dict[str, Any]]:
    """A row for each name and protocol in any run's summary.json, the accuracies first."""
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for run in runs:
        for name, record in run.subject.workdir.summary().items():
            rows.setdefault((name, _how(record)), {})[run.name] = record
    shown = [
        {"name": name, "protocol": how, "values": [_shown(records.get(run.name)) for run in runs]}
        for (name, how), records in rows.items()
    ]
    return sorted(shown, key=lambda row: not any("%" in value for value in row["values"]))


def _how(record):
    """What a row says of how its numbers came about."""
    words = next((record[key] for key in ("protocol", "over", "reason", "of") if record.get(key)), "")
    return ", ".join(
        [*([words] if words else []), *(f"{k.replace('_', ' ')} {record[k]}" for k in _SHOWN if k in record)]
    )


def _shown(record):
    if record is None or record["value"] is None:
        return "-"
    value = record["value"]
    if isinstance(value, float):
        text = f"{value:.2f} %" if record.get("unit") == "percent" else f"{value:.4g}"
        return f"{text} ({record['seconds']:.0f} s)" if record.get("seconds") else text
    return f"{value[:12]}…" if isinstance(value, str) and len(value) > 40 else str(value)


def _spectra(runs: Sequence[_Run], features: Sequence[tuple[Source, Features]]) -> list[dict[str, str]]:
    lines: dict[str, list[Line]] = {"features": [], "z": []}
    for run, (_, of_run) in zip(runs, features, strict=False):
        rows = of_run.take(np.arange(min(len(of_run), 10_000)))
        for kind, values in (("features", rows), ("z", run.subject.project(rows))):
            spectrum = metrics.spectrum(values)
            rank = f"{run.name}, effective rank {metrics.effective_rank(spectrum):.1f} of {len(spectrum)}"
            visible = spectrum[spectrum > 1e-6 * spectrum[0]]  # less is rounding
            lines[kind].append(Line(rank, range(1, len(visible) + 1), visible.tolist(), run.number))
    return [
        {"svg": plots.plot(of, "rank", f"singular value of {kind}", logarithmic=True), "caption": kind}
        for kind, of in lines.items()
        if of
    ]


def _neighbours(subject: Subject, source: Source, features: Features, count: int) -> list[list[dict[str, str]]]:
    """Strips of a sample image and those nearest to it."""
    rows = np.unique(np.linspace(0, len(features) - 1, _SAMPLES, dtype=int))
    similarity, found = nearest(features, features.take(rows), min(count + 1, len(features)))
    size, strips = min(subject.image_size, VISIBLE), []
    for row, cosines, others in zip(rows, similarity, found, strict=True):
        chosen = [(row, 1.0), *[(o, c) for o, c in zip(others, cosines, strict=True) if o != row][:count]]
        images = thumbnails(source, [int(features.index[o]) for o, _ in chosen], size)
        strip = []
        for (other, cosine), image in zip(chosen, images, strict=True):
            kind = "query" if other == row else "same"
            if kind == "same" and features.labels is not None and features.labels[other] != features.labels[row]:
                kind = "other"
            kind = "" if kind == "same" and features.labels is None else kind
            name = source.name_of(int(features.index[other]))
            strip.append({"src": _data_uri(image), "title": f"{name}, cosine {cosine:.3f}", "kind": kind})
        strips.append(strip)
    return strips


def _views(subject: Subject) -> list[list[dict[str, str]]]:
    """Strips of training images, their first views and their second views."""
    source, settings = subject.train_source, subject.run
    index = list(range(min(_SAMPLES, source.num_examples)))
    size = subject.image_size
    groups = view_rows(source, policies.resolve(settings.augment), size, settings.run.seed, index, epochs=1)
    titles = ["image", "view 1", "view 2"]
    rows = [images for group in groups for images in group]
    return [
        [
            {"src": _data_uri(image), "title": f"{title} of {source.name_of(i)}"}
            for i, image in zip(index, row, strict=True)
        ]
        for title, row in zip(titles, rows, strict=True)
    ]


def _data_uri(image: np.ndarray) -> str:
    """The image `[H, W, 3] uint8` inside the page; photographs' views are made no larger than they are shown."""
    picture = Image.fromarray(image)
    picture.thumbnail((2 * VISIBLE, 2 * VISIBLE))
    file = io.BytesIO()
    picture.save(file, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"
