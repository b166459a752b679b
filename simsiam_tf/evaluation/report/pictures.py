"""Makes the report's rows of images: sample images with their nearest neighbours, and with their views."""

import base64
import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

from simsiam_tf.augment import policies
from simsiam_tf.data.sources import Source
from simsiam_tf.evaluation.loaded_run import LoadedRun
from simsiam_tf.evaluation.neighbours import sample_rows
from simsiam_tf.evaluation.thumbnails import VISIBLE, thumbnails, view_rows
from simsiam_tf.features.embed import Features
from simsiam_tf.features.nearest import nearest

_SAMPLES = 8

# One row of images. Each image has `src` and `title`; in a row of neighbours also `kind`.
Strip = list[dict[str, str]]


def neighbour_strips(run: LoadedRun, source: Source, features: Features, count: int) -> list[Strip]:
    """Makes a row for each of some sample images: the image, then its nearest neighbours.

    Args:
        run: the run whose backbone computed the features.
        source: the images.
        features: the features of the images.
        count: the number of neighbours in a row.
    """
    rows = sample_rows(len(features))
    similarity, found = nearest(features, features.take(rows), min(count + 1, len(features)))
    size, strips = min(run.image_size, VISIBLE), []
    for row, cosines, others in zip(rows, similarity, found, strict=True):
        chosen = [(row, 1.0), *[(o, c) for o, c in zip(others, cosines, strict=True) if o != row][:count]]
        images = thumbnails(source, [int(features.index[o]) for o, _ in chosen], size)
        strip = []
        for (other, cosine), image in zip(chosen, images, strict=True):
            title = f"{source.name_of(int(features.index[other]))}, cosine {cosine:.3f}"
            strip.append({"src": _data_uri(image), "title": title, "kind": _kind(features.labels, row, other)})
        strips.append(strip)
    return strips


def _kind(labels: np.ndarray | None, query: int, other: int) -> str:
    """Returns `query`, or for a neighbour whether its class is the `same` or an `other`; empty without labels."""
    if other == query:
        return "query"
    if labels is None:
        return ""
    return "same" if labels[other] == labels[query] else "other"


def view_strips(run: LoadedRun) -> list[Strip]:
    """Makes three rows: some training images, their first views, and their second views."""
    source = run.train_source
    index = list(range(min(_SAMPLES, source.num_examples)))
    views = policies.resolve(run.config.augment)[:2]  # SwAV may have small views besides
    groups = view_rows(source, views, run.image_size, run.config.run.seed, index, epochs=1)
    rows, titles = [images for group in groups for images in group], ["image", "view 1", "view 2"]
    return [_view_strip(source, title, index, row) for title, row in zip(titles, rows, strict=True)]


def _view_strip(source: Source, title: str, index: Sequence[int], images: np.ndarray) -> Strip:
    return [
        {"src": _data_uri(image), "title": f"{title} of {source.name_of(i)}"}
        for i, image in zip(index, images, strict=True)
    ]


def _data_uri(image: np.ndarray) -> str:
    """Encodes an image `[H, W, 3] uint8` as a data URI. Large images are shrunk, to keep the page small."""
    picture = Image.fromarray(image)
    picture.thumbnail((2 * VISIBLE, 2 * VISIBLE))
    file = io.BytesIO()
    picture.save(file, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"
