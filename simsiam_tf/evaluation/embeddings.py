"""What a network makes of a folder of images: their features as files, and the images nearest to one."""

import csv
import math
import os
import pathlib

import numpy as np
import rich.console
import rich.markup
import rich.table
from PIL import Image

from simsiam_tf.config.evaluation import ImagesConfig
from simsiam_tf.data.folder import FolderImages
from simsiam_tf.data.sources import Source, listing_bad_images
from simsiam_tf.data.unreadable import UnreadableImages
from simsiam_tf.errors import UsageError
from simsiam_tf.evaluation.loaded_run import Subject
from simsiam_tf.evaluation.thumbnails import contact_sheet, thumbnails
from simsiam_tf.features.embed import Features, embed_source
from simsiam_tf.features.nearest import nearest
from simsiam_tf.files import expand

# TensorBoard's projector draws no more points than this at a useful speed.
_PROJECTED = 10_000
_THUMBNAIL = 32


def run_embed(subject: Subject, config: ImagesConfig) -> None:
    """Writes the features of the training split, or of a folder, and what TensorBoard's projector needs.

    Into a new folder: `features.npy` `[N, D]`, `images.csv` with the path of each row's image and its label where there
    is one, and `projector/`.

    Args:
        subject: the network, and the images.
        config: where to write.

    Raises:
        UsageError: if the folder exists.
    """
    source = subject.train_source
    name = "-".join([*pathlib.Path(source.name).parts[-2:], subject.checkpoint]).replace("/", "")
    out = _new(config.out, subject.workdir.root / "embeddings" / name)
    features = subject.features(source)
    draft = out.with_name(f"{out.name}.draft{os.getpid()}")
    draft.mkdir(parents=True)
    array = np.lib.format.open_memmap(draft / "features.npy", "w+", np.float32, (len(features), features.dim))
    for first, rows in features.chunks(4096):
        array[first : first + len(rows)] = rows
    array.flush()
    with (draft / "images.csv").open("w", newline="", errors="surrogateescape") as file:
        writer = csv.writer(file)
        writer.writerow(["row", "path", "label"])
        for row, position in enumerate(features.index):
            writer.writerow([row, _path(source, position), "" if features.labels is None else features.labels[row]])
    _write_projector(features, source, draft / "projector")
    draft.replace(out)
    print(
        f"Wrote {out}: {len(features)} features of {features.dim} numbers in features.npy, their images in images.csv, "
        f"and projector/ (tensorboard --logdir={out / 'projector'})."
    )


def _path(source, position):
    return source.files.locate(position) if source.files else f"{source.name}, example {position}"


def _write_projector(features: Features, source: Source, folder: pathlib.Path) -> None:
    from tensorboard.plugins import projector

    folder.mkdir()
    count = min(len(features), _PROJECTED)
    np.savetxt(folder / "features.tsv", features.take(np.arange(count)), fmt="%.6g", delimiter="\t")
    with (folder / "metadata.tsv").open("w", errors="surrogateescape") as file:
        file.write("path\tlabel\n")
        for row in range(count):
            label = "" if features.labels is None else features.labels[row]
            file.write(f"{' '.join(_path(source, features.index[row]).split())}\t{label}\n")
    side = math.ceil(math.sqrt(count))
    sprite = np.zeros((side * side, _THUMBNAIL, _THUMBNAIL, 3), np.uint8)
    for first in range(0, count, 256):
        index = features.index[first : min(first + 256, count)].tolist()
        sprite[first : first + len(index)] = thumbnails(source, index, _THUMBNAIL)
    sheet = sprite.reshape(side, side, _THUMBNAIL, _THUMBNAIL, 3).transpose(0, 2, 1, 3, 4)
    Image.fromarray(sheet.reshape(side * _THUMBNAIL, side * _THUMBNAIL, 3)).save(folder / "sprite.png")
    config = projector.ProjectorConfig()
    embedding = config.embeddings.add()
    embedding.tensor_name, embedding.tensor_path, embedding.metadata_path = "features", "features.tsv", "metadata.tsv"
    embedding.sprite.image_path = "sprite.png"
    embedding.sprite.single_image_dim.extend([_THUMBNAIL, _THUMBNAIL])
    projector.visualize_embeddings(str(folder), config)


def run_neighbours(subject: Subject, config: ImagesConfig) -> None:
    """Prints and draws the images of the training split, or of a folder, that are nearest to one image.

    Args:
        subject: the network, and the images.
        config: the query, and how many.

    Raises:
        UsageError: if the query is no image, or the picture exists.
    """
    query = _query(config.query)
    source, size = subject.train_source, subject.image_size
    out = _new(config.out, _free(subject.workdir.root / "neighbours" / f"{pathlib.Path(query.name).stem}.png"))
    if out.suffix.lower() != ".png":
        raise UsageError(f"--out must end in .png. Received: {out}.")
    try:
        with listing_bad_images([query], None):
            embedded = embed_source(subject.backbone, query, size, 1)
    except UsageError as error:
        raise UsageError(f"--query must be an image file that can be read. Received: {query.name}.") from error
    bank = subject.features(source)
    similarity, rows = nearest(bank, embedded.loaded(), min(config.num_neighbours, len(bank)))
    positions = bank.index[rows[0]].tolist()
    table = rich.table.Table(title=f"Nearest to {_printable(query.name)} in {_printable(source.name)}")
    table.add_column("")
    table.add_column("cosine", justify="right")
    table.add_column("image", overflow="fold")
    for rank, (cosine, position) in enumerate(zip(similarity[0], positions, strict=True), start=1):
        table.add_row(str(rank), f"{cosine:.3f}", _printable(_path(source, position)))
    rich.console.Console().print(table)
    out.parent.mkdir(parents=True, exist_ok=True)
    shown = max(size, _THUMBNAIL)
    row = np.concatenate([thumbnails(query, [0], shown), thumbnails(source, positions, shown)])
    Image.fromarray(contact_sheet([[row]])).save(out)
    print(f"Wrote {out}: the query, then its {len(positions)} nearest images.")


def _printable(text):
    """A path for the terminal, whatever bytes it has."""
    return rich.markup.escape(text.encode("utf-8", "backslashreplace").decode())


def _query(path: str) -> Source:
    file = pathlib.Path(expand(path))
    if not path or not file.is_file():
        raise UsageError(f"--query must be an image file. Received: {path or 'none'}.")
    image = FolderImages(file.parent, [file], UnreadableImages(str(file), max_fraction=0.0))
    return Source(str(file), 1, None, 0, image)


def _new(out: str, default: pathlib.Path) -> pathlib.Path:
    """Where to write; nothing is there yet."""
    path = pathlib.Path(expand(out)) if out else default
    if path.exists():
        raise UsageError(f"--out exists and is not overwritten; move it away or name another. Received: {path}.")
    return path


def _free(path: pathlib.Path) -> pathlib.Path:
    """The path, with a number where it is taken."""
    numbered = (path.with_stem(f"{path.stem}-{number}") for number in range(2, 1_000_000))
    return path if not path.exists() else next(candidate for candidate in numbered if not candidate.exists())
