"""Writes the features of images to files, for NumPy and for TensorBoard's projector."""

import csv
import logging
import math
import pathlib

import numpy as np
from PIL import Image

from simsiam_tf.config.evaluation import ImagesConfig
from simsiam_tf.config.messages import RESULT
from simsiam_tf.data.sources import Source
from simsiam_tf.evaluation.loaded_run import LoadedRun
from simsiam_tf.evaluation.outputs import new_path, place_of
from simsiam_tf.evaluation.thumbnails import thumbnails
from simsiam_tf.features.embed import Features
from simsiam_tf.files import plain_path, replacing_folder

_log = logging.getLogger(__name__)

# TensorBoard's projector becomes too slow with more points.
_PROJECTED = 10_000
_THUMBNAIL = 32


def run_embed(run: LoadedRun, config: ImagesConfig) -> None:
    """Writes the features of `run.train_source` into a new folder.

    The folder holds `features.npy` (`[N, D] float32`), `images.csv` (the path and the label of each row's image) and
    `projector/` (the files of TensorBoard's projector). It appears only when it is complete.

    Args:
        run: the run whose backbone computes the features.
        config: the settings, of which `out` is the path of the folder.

    Raises:
        UsageError: if the folder exists.
    """
    source = run.train_source
    name = "-".join([*pathlib.Path(source.name).parts[-2:], run.checkpoint]).replace("/", "")
    out = new_path(config.out, run.workdir.root / "embeddings" / name)
    features = run.features(source)
    with replacing_folder(out) as draft:
        _write_features(features, draft / "features.npy")
        _write_images(features, source, draft / "images.csv")
        _write_projector(features, source, draft / "projector")
    _log.log(
        RESULT,
        f"Wrote {out}: {len(features)} features of {features.dim} numbers in features.npy, their images in images.csv, "
        f"and projector/ (tensorboard --logdir={out / 'projector'}).",
    )


def _write_features(features: Features, path: pathlib.Path) -> None:
    # Not through a memory map: on a full disk, the system would end the process without a word.
    shape, kind = (len(features), features.dim), np.lib.format.dtype_to_descr(np.dtype(np.float32))
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": kind, "fortran_order": False, "shape": shape})
        for _, rows in features.chunks(4096):
            file.write(np.ascontiguousarray(rows, np.float32).tobytes())


def _write_images(features: Features, source: Source, path: pathlib.Path) -> None:
    with path.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file:
        writer = csv.writer(file)
        writer.writerow(["row", "path", "label"])
        for row, position in enumerate(features.index):
            writer.writerow([row, place_of(source, position), _label(features, row)])


def _label(features: Features, row: int) -> str:
    """Returns the label of a row as text, empty without labels."""
    return "" if features.labels is None else str(features.labels[row])


def _write_projector(features: Features, source: Source, folder: pathlib.Path) -> None:
    """Writes the files of TensorBoard's projector: features, paths, labels and thumbnails of the first images."""
    folder.mkdir()
    count = min(len(features), _PROJECTED)
    np.savetxt(folder / "features.tsv", features.take(np.arange(count)), fmt="%.6g", delimiter="\t")
    with (folder / "metadata.tsv").open("w", encoding="utf-8", errors="surrogateescape") as file:
        file.write("path\tlabel\n")
        for row in range(count):
            # A tab or a line break within a path would break the table.
            path = " ".join(place_of(source, features.index[row]).split())
            file.write(f"{path}\t{_label(features, row)}\n")
    _sprite(features, source, count).save(folder / "sprite.png")
    _write_projector_config(folder)


def _sprite(features: Features, source: Source, count: int) -> Image.Image:
    """Draws the thumbnails of the first `count` images, row by row, into one square picture."""
    side = math.ceil(math.sqrt(count))
    cells = np.zeros((side * side, _THUMBNAIL, _THUMBNAIL, 3), np.uint8)
    for first in range(0, count, 256):
        index = features.index[first : min(first + 256, count)].tolist()
        cells[first : first + len(index)] = thumbnails(source, index, _THUMBNAIL)
    sheet = cells.reshape(side, side, _THUMBNAIL, _THUMBNAIL, 3).transpose(0, 2, 1, 3, 4)
    return Image.fromarray(sheet.reshape(side * _THUMBNAIL, side * _THUMBNAIL, 3))


def _write_projector_config(folder: pathlib.Path) -> None:
    from tensorboard.plugins import projector

    config = projector.ProjectorConfig()
    embedding = config.embeddings.add()
    embedding.tensor_name, embedding.tensor_path, embedding.metadata_path = "features", "features.tsv", "metadata.tsv"
    embedding.sprite.image_path = "sprite.png"
    embedding.sprite.single_image_dim.extend([_THUMBNAIL, _THUMBNAIL])
    projector.visualize_embeddings(str(plain_path(folder)), config)
