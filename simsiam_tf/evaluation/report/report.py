"""Writes one HTML page about one or several runs.

The page shows curves, numbers, spectra, neighbours, views and configurations. It needs no network to be read.
"""

import json
import pathlib
from collections.abc import Sequence
from typing import Any

from simsiam_tf.config.evaluation import ImagesConfig
from simsiam_tf.data.sources import Source, listing_bad_images
from simsiam_tf.errors import UsageError
from simsiam_tf.evaluation.loaded_run import LoadedRun
from simsiam_tf.evaluation.report.did_it_help import answer_of
from simsiam_tf.evaluation.report.figures import curves, spectra
from simsiam_tf.evaluation.report.numbers import number_rows
from simsiam_tf.evaluation.report.page import render, report_path, write_page
from simsiam_tf.evaluation.report.pictures import neighbour_strips, view_strips
from simsiam_tf.evaluation.report.reported_run import ReportedRun
from simsiam_tf.evaluation.thumbnails import VISIBLE
from simsiam_tf.features.embed import Features
from simsiam_tf.training.environment import commit_of
from simsiam_tf.training.run_files import read_json


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
    out = report_path(config.out, loaded[0].workdir.root)
    names = _names([run.workdir.root for run in loaded])
    runs = [ReportedRun(name, number, run) for number, (name, run) in enumerate(zip(names, loaded, strict=True))]
    write_page(out, _page(runs, config), ", ".join(names))


def _names(roots: Sequence[pathlib.Path]) -> list[str]:
    """Returns the folders' names, or their paths if two names are equal."""
    short = [root.name for root in roots]
    return short if len(set(short)) == len(short) else [str(root) for root in roots]


def _page(runs: Sequence[ReportedRun], config: ImagesConfig) -> str:
    """Renders the page as HTML."""
    embedded, note = _embed(runs)
    source = embedded[0][0] if embedded else None
    return render(
        "report.html.j2",
        title=f"SimSiam: {', '.join(run.name for run in runs)}",
        runs=[_about(run, embedded, config) for run in runs],
        curves=curves(runs),
        numbers=number_rows({run.name: run.loaded.workdir.summary() for run in runs}),
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
    return {
        "name": run.name,
        "colour": run.colour,
        "what": f"{settings.recipe}, {settings.model.arch} on {settings.data.dataset}, {settings.run.epochs} epochs, "
        f"{loaded.checkpoint}, commit {commit_of(content)}",
        "augmentation": settings.augment.augmentation,
        "config": json.dumps(content, indent=2),
        "summary": json.dumps(loaded.workdir.summary(), indent=2),
        "neighbours": neighbour_strips(loaded, *embedded[run.number], config.num_neighbours) if embedded else [],
        "did_it_help": answer_of(run),
        "views": view_strips(loaded) if embedded and not loaded.suffix else [],
    }
