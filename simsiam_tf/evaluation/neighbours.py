"""Shows the images that are nearest to one image, as a table in the terminal and as a picture."""

import logging
import os
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
from simsiam_tf.features.embed import embed_source
from simsiam_tf.features.nearest import nearest
from simsiam_tf.files import expand

_log = logging.getLogger(__name__)

_SMALLEST_THUMBNAIL = 32


def run_neighbours(run: LoadedRun, config: ImagesConfig) -> None:
    """Prints and draws the images of `run.train_source` that are nearest to a query image.

    The nearest images are those whose features have the greatest cosine similarity to the query's.

    Args:
        run: the run whose backbone computes the features.
        config: the settings: the query, the number of neighbours, and the path of the picture.

    Raises:
        UsageError: if the query is not a readable image, or the path of the picture exists or does not end in .png.
    """
    query = _open_query(config.query)
    default = free_path(run.workdir.root / "neighbours" / f"{pathlib.Path(query.name).stem}.png")
    out = new_path(config.out, default)
    if out.suffix.lower() != ".png":
        raise UsageError(f"--out must end in .png. Received: {out}.")
    source = run.train_source
    cosines, positions = _nearest_to(run, query, source, config.num_neighbours)
    _print_table(query, source, cosines, positions)
    _draw(query, source, positions, max(run.image_size, _SMALLEST_THUMBNAIL), out)
    _log.log(RESULT, f"Wrote {out}: the query, then its {len(positions)} nearest images.")


def _open_query(path: str) -> Source:
    """Opens an image file as a data set of one image without a label."""
    file = pathlib.Path(expand(path))
    if not path or not os.path.isfile(file):
        raise UsageError(f"--query must be an image file. Received: {path or 'none'}.")
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
    """Escapes a path for the terminal: rich's markup, and bytes that are not UTF-8."""
    return rich.markup.escape(text.encode("utf-8", "backslashreplace").decode())


def _draw(query: Source, source: Source, positions: Sequence[int], size: int, out: pathlib.Path) -> None:
    """Saves a picture of one row: the query, then its neighbours."""
    out.parent.mkdir(parents=True, exist_ok=True)
    row = np.concatenate([thumbnails(query, [0], size), thumbnails(source, positions, size)])
    Image.fromarray(contact_sheet([[row]])).save(out)
