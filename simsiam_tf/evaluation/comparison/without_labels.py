"""Compares networks without labels: by their neighbours, side by side, and by label-free diagnostics."""

import logging
import pathlib
import time
from collections.abc import Sequence

import numpy as np
import rich.console
import rich.markup
import rich.table
from PIL import Image, ImageDraw

from simsiam_tf.config.evaluation import ImagesConfig
from simsiam_tf.config.messages import RESULT
from simsiam_tf.data.sources import Source
from simsiam_tf.evaluation.comparison.networks import Network
from simsiam_tf.evaluation.diagnostics import diagnose, diagnosed_source, features_of_two_views
from simsiam_tf.evaluation.loaded_run import LoadedRun
from simsiam_tf.evaluation.neighbours import rows_of_samples, thumbnail_size
from simsiam_tf.evaluation.outputs import free_path
from simsiam_tf.evaluation.thumbnails import contact_sheet, thumbnails
from simsiam_tf.features import metrics
from simsiam_tf.files import make_folder, printable, replacing
from simsiam_tf.training.workdir import record

_log = logging.getLogger(__name__)

_LINE = 16  # pixels of a line of text in the sheet


def compare_without_labels(
    run: LoadedRun, networks: Sequence[Network], config: ImagesConfig, folder: pathlib.Path
) -> None:
    """Draws the nearest images of some images for each network, and measures each network's features without labels.

    Args:
        run: the run to evaluate.
        networks: the networks, the run's own last.
        config: the number of neighbours to show, and of images to measure on.
        folder: the folder of the sheet.

    Raises:
        UsageError: if there are fewer than two images.
        FloatingPointError: if a feature is not finite.
    """
    start, source, views = time.monotonic(), run.train_source, diagnosed_source(run, config)
    sheet, numbers = [], {}
    for number, network in enumerate(networks, start=1):
        _log.info(f"Network {number} of {len(networks)}: {network.name}")
        x1, x2 = features_of_two_views(network.run, views)
        numbers[network.name] = diagnose(x1, x2, metrics.spectrum(x1))
        sheet.append(rows_of_samples(network.run.features(source), config.num_neighbours))
    out = free_path(folder / f"neighbours{run.suffix}.png")
    _draw(run, source, sheet, [network.name for network in networks], out)
    _print_table(numbers)
    sentence = (
        f"Without labels nothing proves that this run helped ({run.data.dataset} has {run.lacks}). {out} shows the "
        "neighbours of some images by each network. The numbers that need no labels describe how the features are "
        "spread; they do not show that the features are useful."
    )
    _record(run, views, numbers, sentence, time.monotonic() - start)
    _log.log(RESULT, sentence)


def _record(
    run: LoadedRun, source: Source, numbers: dict[str, dict[str, float]], sentence: str, seconds: float
) -> None:
    """Adds the run's diagnostics, with those of the others, and the sentence to summary.json."""
    *others, own = numbers
    for name, value in numbers[own].items():
        run.add_records(
            {f"did_it_help_{name}": value},
            seconds,
            protocol="diagnostics of the features of random views, eval mode, compared with other networks",
            others={other: {"value": numbers[other][name]} for other in others},
            images=source.name,
            images_size=source.num_readable,
            augmentation=run.config.augment.augmentation,
        )
    answer = record(sentence, protocol="without labels", verdicts={}, checkpoint=run.checkpoint)
    run.workdir.add_to_summary({f"did_it_help{run.suffix}": {**answer, "seconds": round(seconds, 2)}})


def _draw(
    run: LoadedRun, source: Source, sheet: Sequence[list[list[int]]], names: Sequence[str], out: pathlib.Path
) -> None:
    """Saves the sheet: for each sample image a group of rows, one for each network, below a list of their names."""
    size = thumbnail_size(run)
    groups = [[thumbnails(source, row, size) for row in rows_of_sample] for rows_of_sample in zip(*sheet, strict=True)]
    picture = contact_sheet(groups)
    lines = ["An image, then its nearest ones. The rows of each group, from the top:"]
    lines += [f"{number}. {name}" for number, name in enumerate(names, start=1)]
    band = Image.new("RGB", (picture.shape[1], _LINE * len(lines) + _LINE // 2), "white")
    for number, line in enumerate(lines):
        ImageDraw.Draw(band).text((4, 4 + _LINE * number), line.encode("ascii", "replace").decode(), fill="black")
    make_folder(out.parent)
    with replacing(out) as draft:
        Image.fromarray(np.concatenate([np.asarray(band), picture])).save(draft, "PNG")
    _log.info(f"{out} shows in each row an image of {printable(source.name)}, then its nearest ones.")


def _print_table(numbers: dict[str, dict[str, float]]) -> None:
    """Prints a row for each network."""
    table = rich.table.Table(title="label-free diagnostics of the features")
    table.add_column("network")
    for column in next(iter(numbers.values())):
        table.add_column(column.replace("_", " "), justify="right")
    for name, of_network in numbers.items():
        table.add_row(rich.markup.escape(name), *(f"{value:.4g}" for value in of_network.values()))
    if _log.isEnabledFor(RESULT):
        rich.console.Console(width=110).print(table)
