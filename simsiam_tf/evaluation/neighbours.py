"""Shows the images that are nearest to one image, as a table in the terminal and as a picture."""

import logging
import pathlib
from collections.abc import Sequence

import numpy as np
import rich.console
import rich.markup
import rich.table
from PIL import Image

from simsiam_tf.config.evaluation import ImagesConfig
from simsiam_tf.config.messages import RESULT
from simsiam_tf.data.image_files import FolderImages
from simsiam_tf.data.sources import Source, listing_bad_images
from simsiam_tf.data.unreadable import UnreadableImages
from simsiam_tf.errors import UsageError
from simsiam_tf.evaluation.loaded_run import LoadedRun
from simsiam_tf.evaluation.outputs import free_path, new_path, place_of
from simsiam_tf.evaluation.thumbnails import contact_sheet, thumbnails
from simsiam_tf.features.embed import Features, embed_source
from simsiam_tf.features.nearest import nearest
from simsiam_tf.files import is_file, make_folder, printable, replacing, user_path

_log = logging.getLogger(__name__)

_SMALLEST_THUMBNAIL = 32
# The number of images that a sheet shows if no query is named.
_SAMPLES = 8


def run_neighbours(run: LoadedRun, config: ImagesConfig) -> None:
    """Draws the images of `run.train_source` that are nearest to a query image, or to some images of their own.

    The nearest images are those whose features have the greatest cosine similarity to the query's. Those of a query are
    printed, too.

    Args:
        run: the run whose backbone computes the features.
        config: the settings: the query, the number of neighbours, and the path of the picture.

    Raises:
        UsageError: if the query is not a readable image, or the path of the picture exists or does not end in .png.
    """
    folder, source = run.workdir.root / "neighbours", run.train_source
    query = _open_query(config.query) if config.query else None
    name = "sheet" if query is None else pathlib.Path(query.name).stem
    out = new_path(config.out, free_path(folder / f"{name}.png"))
    if out.suffix.lower() != ".png":
        raise UsageError(f"--out must end in .png. Received: {out}.")
    size = thumbnail_size(run)
    if query is None:
        rows = rows_of_samples(run.features(source), config.num_neighbours)
        _draw([thumbnails(source, row, size) for row in rows], out)
        _log.log(RESULT, f"Wrote {out}: in each row an image of {printable(source.name)}, then its nearest ones.")
        return
    cosines, positions = _nearest_to(run, query, source, config.num_neighbours)
    _print_table(query, source, cosines, positions)
    _draw([np.concatenate([thumbnails(query, [0], size), thumbnails(source, positions, size)])], out)
    _log.log(RESULT, f"Wrote {out}: the query, then its {len(positions)} nearest images.")


def thumbnail_size(run: LoadedRun) -> int:
    """Returns the side of the thumbnails of a run's images, pixels."""
    return max(run.image_size, _SMALLEST_THUMBNAIL)


def sample_rows(count: int) -> np.ndarray:
    """Returns the rows of the images whose neighbours are shown, evenly spread over `count` rows of features, `[n]`."""
    return np.unique(np.linspace(0, count - 1, _SAMPLES, dtype=int))


def rows_of_samples(features: Features, count: int) -> list[list[int]]:
    """Returns the positions of some images, each followed by those of its nearest others.

    Args:
        features: the features of the images. The chosen images are evenly spread over them.
        count: the number of nearest others, as far as there are so many.
    """
    samples = sample_rows(len(features))
    _, found = nearest(features, features.take(samples), min(count + 1, len(features)))
    chosen = [
        [row, *[other for other in others if other != row][:count]] for row, others in zip(samples, found, strict=True)
    ]
    return [features.index[row].tolist() for row in chosen]


def _open_query(path: str) -> Source:
    """Opens an image file as a data set of one image without a label."""
    file = user_path(path)
    if not is_file(file):
        raise UsageError(f"--query must be an image file. Received: {path}.")
    image = FolderImages(file.parent, [file], UnreadableImages(str(file), max_fraction=0.0))
    return Source(str(file), 1, None, 0, image)


def _nearest_to(run: LoadedRun, query: Source, source: Source, count: int) -> tuple[np.ndarray, list[int]]:
    """Finds the images of a source that are nearest to the query.

    Returns:
        The cosine similarities `[k]`, the greatest first, and the k positions in the source.
    """
    try:
        with listing_bad_images([query], None):
            embedded = embed_source(run.backbone, query, run.image_size, 1)
    except UsageError as error:
        raise UsageError(f"--query must be an image file that can be read. Received: {query.name}.") from error
    bank = run.features(source)
    similarity, rows = nearest(bank, embedded.loaded(), min(count, len(bank)))
    return similarity[0], bank.index[rows[0]].tolist()


def _print_table(query: Source, source: Source, cosines: np.ndarray, positions: Sequence[int]) -> None:
    table = rich.table.Table(title=f"Nearest to {_printable(query.name)} in {_printable(source.name)}")
    table.add_column("")
    table.add_column("cosine", justify="right")
    table.add_column("image", overflow="fold")
    for rank, (cosine, position) in enumerate(zip(cosines, positions, strict=True), start=1):
        table.add_row(str(rank), f"{cosine:.3f}", _printable(place_of(source, position)))
    if _log.isEnabledFor(RESULT):
        rich.console.Console().print(table)


def _printable(text: str) -> str:
    """Escapes a path for the terminal: rich's markup, control characters, and bytes that are not UTF-8."""
    return rich.markup.escape(printable(text))


def _draw(rows: Sequence[np.ndarray], out: pathlib.Path) -> None:
    """Saves a picture of rows of thumbnails, `[n, S, S, 3] uint8` each."""
    make_folder(out.parent)
    with replacing(out) as draft:
        Image.fromarray(contact_sheet([rows])).save(draft, "PNG")
