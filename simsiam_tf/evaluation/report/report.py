"""Writes one HTML page about one or several runs.

The page shows curves, numbers, spectra, neighbours, views and configurations. It needs no network to be read.
"""

import datetime
import json
import logging
import pathlib
from collections.abc import Sequence
from typing import Any

import jinja2

import simsiam_tf
from simsiam_tf.config.evaluation import ImagesConfig
from simsiam_tf.config.messages import RESULT
from simsiam_tf.data.sources import Source, listing_bad_images
from simsiam_tf.errors import UsageError
from simsiam_tf.evaluation.loaded_run import LoadedRun
from simsiam_tf.evaluation.report.did_it_help import answer_of
from simsiam_tf.evaluation.report.figures import curves, spectra
from simsiam_tf.evaluation.report.numbers import number_rows
from simsiam_tf.evaluation.report.pictures import neighbour_strips, view_strips
from simsiam_tf.evaluation.report.reported_run import ReportedRun
from simsiam_tf.evaluation.thumbnails import VISIBLE
from simsiam_tf.features.embed import Features
from simsiam_tf.files import check_output, exists, is_file, is_folder, read_regular, user_path, write_text
from simsiam_tf.training.run_files import read_json

_log = logging.getLogger(__name__)

_GENERATOR = "simsiam_tf"


def run_report(loaded: Sequence[LoadedRun], config: ImagesConfig) -> None:
    """Writes a page about one or several runs, by default `report.html` in the workdir of the first run.

    An older report of the same name is replaced. If the images cannot be opened, the page lacks the spectra, neighbours
    and views, and says why.

    Args:
        loaded: the runs.
        config: the settings: the path of the page, and the number of neighbours to show.

    Raises:
        UsageError: if the path is a folder, or a file that is not a report.
    """
    out = user_path(config.out) if config.out else loaded[0].workdir.root / "report.html"
    check_report_path(out)
    names = _names([run.workdir.root for run in loaded])
    runs = [ReportedRun(name, number, run) for number, (name, run) in enumerate(zip(names, loaded, strict=True))]
    page = _page(runs, config)
    write_text(out, page.encode("utf-8", "backslashreplace").decode())  # file names need not be valid UTF-8
    _log.log(RESULT, f"Wrote {out} ({len(page) / 2**20:.1f} MiB): {', '.join(names)}.")


def _beginning(path: pathlib.Path) -> str:
    return read_regular(path)[:4000].decode(errors="replace")[:2000]


def check_report_path(out: pathlib.Path) -> None:
    """Checks that a report can be written to a path.

    Args:
        out: the path of the page.

    Raises:
        UsageError: if the path is a folder, holds a file that is not a report, or cannot be written.
    """
    if is_folder(out):
        raise UsageError(f"--out must be a file. Received: the folder {out}.")
    check_output(out)
    if exists(out) and not (is_file(out) and f'name="generator" content="{_GENERATOR}' in _beginning(out)):
        raise UsageError(
            "The path holds a file that is not a report of simsiam_tf; move it away or give another --out. "
            f"Received: {out}."
        )


def _names(roots: Sequence[pathlib.Path]) -> list[str]:
    """Returns the folders' names, or their paths if two names are equal."""
    short = [root.name for root in roots]
    return short if len(set(short)) == len(short) else [str(root) for root in roots]


def _page(runs: Sequence[ReportedRun], config: ImagesConfig) -> str:
    """Renders the page as HTML."""
    folder = pathlib.Path(__file__).parent
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder), autoescape=True, undefined=jinja2.StrictUndefined
    )
    embedded, note = _embed(runs)
    source = embedded[0][0] if embedded else None
    return environment.get_template("report.html.j2").render(
        title=f"SimSiam: {', '.join(run.name for run in runs)}",
        generator=f"{_GENERATOR} {simsiam_tf.__version__}",
        date=datetime.datetime.now().strftime("%Y-%m-%d %H:%M"),
        runs=[_about(run, embedded, config) for run in runs],
        curves=curves(runs),
        numbers=number_rows(runs),
        spectra=spectra(runs, [features for _, features in embedded]),
        spectrum_of=source.name if source else "no images (the data set was not found)",
        images_of=source.name if source else "",
        labelled=source is not None and source.labels is not None,
        note=note,
        pixelated=runs[0].loaded.image_size < VISIBLE,
    )


def _embed(runs: Sequence[ReportedRun]) -> tuple[list[tuple[Source, Features]], str]:
    """Returns the images and features of each run; if a data set cannot be opened, an empty list and the reason."""
    embedded = []
    try:
        for run in runs:
            source = run.loaded.test_source or run.loaded.train_source
            with listing_bad_images([source, run.loaded.train_source], run.loaded.workdir.skipped_path):
                embedded.append((source, run.loaded.features(source)))
    except UsageError as error:
        return [], f"Without images: {error}"
    return embedded, ""


def _about(run: ReportedRun, embedded: Sequence[tuple[Source, Features]], config: ImagesConfig) -> dict[str, Any]:
    """Collects the values that the template shows for one run."""
    loaded, settings = run.loaded, run.loaded.config
    content = read_json(loaded.workdir.config_path)
    commit = (content.get("git_commit") or "unknown commit")[:9]
    return {
        "name": run.name,
        "colour": run.colour,
        "what": f"{settings.recipe}, {settings.model.arch} on {settings.data.dataset}, {settings.run.epochs} epochs, "
        f"{loaded.checkpoint}, {commit}",
        "augmentation": settings.augment.augmentation,
        "config": json.dumps(content, indent=2),
        "summary": json.dumps(loaded.workdir.summary(), indent=2),
        "neighbours": neighbour_strips(loaded, *embedded[run.number], config.num_neighbours) if embedded else [],
        "did_it_help": answer_of(run),
        "views": view_strips(loaded) if embedded and not loaded.suffix else [],
    }
