"""Makes thumbnails of images and of their views, and arranges them in contact sheets."""

from collections.abc import Sequence

import numpy as np

from simsiam_tf.augment import ops, policies
from simsiam_tf.data.pipeline import views_of
from simsiam_tf.data.sources import Source

_GAP = 2  # white pixels between images
_GROUP_GAP = 8  # white pixels between groups of rows
VISIBLE = 96  # pixels; smaller images are enlarged, by a whole factor, to at most this side


def thumbnails(source: Source, index: Sequence[int], size: int) -> np.ndarray:
    """Makes thumbnails of the centres of some images.

    Args:
        source: the images.
        index: the positions of n images.
        size: the side of the thumbnails, pixels.

    Returns:
        `[n, size, size, 3] uint8`.
    """
    if len(index) == 0:
        return np.zeros((0, size, size, 3), np.uint8)
    return ops.to_levels(views_of(source, policies.POLICIES["none"][:1], size, 0, 0, index)[0]).numpy()


def view_rows(
    source: Source, views: tuple[policies.Policy, ...], size: int, seed: int, index: Sequence[int], epochs: int
) -> list[list[np.ndarray]]:
    """Makes thumbnails of some images, and the views that a run draws of them in its first epochs.

    Args:
        source: the images.
        views: the augmentation policy of each view.
        size: the run's image size, pixels.
        seed: the run's seed.
        index: the positions of n images.
        epochs: the number of epochs.

    Returns:
        Groups of rows for `contact_sheet`. The first group is one row of thumbnails. Each epoch adds a group, with a
        row `[n, S, S, 3] uint8` for each view.
    """
    groups = [[thumbnails(source, index, size)]]
    for epoch in range(epochs):
        groups.append([ops.to_levels(x).numpy() for x in views_of(source, views, size, seed, epoch, index)])
    return groups


def contact_sheet(groups: Sequence[Sequence[np.ndarray]]) -> np.ndarray:
    """Draws rows of images into one picture, and enlarges small images.

    Args:
        groups: the groups of rows, with a wider gap between groups. A row is `[n, S, S, 3] uint8`, with the same n in
            all rows.

    Returns:
        The picture, `[H, W, 3] uint8`.
    """
    strips: list[np.ndarray] = []
    cell = max(max(1, VISIBLE // images.shape[1]) * images.shape[1] for group in groups for images in group) + _GAP
    for number, group in enumerate(groups):
        if number:
            strips.append(np.full((_GROUP_GAP, strips[0].shape[1], 3), 255, np.uint8))
        for images in group:
            zoom = max(1, VISIBLE // images.shape[1])
            enlarged = images.repeat(zoom, axis=1).repeat(zoom, axis=2)
            right = cell - enlarged.shape[2]
            padded = np.pad(enlarged, ((0, 0), (0, _GAP), (0, right), (0, 0)), constant_values=255)
            strips.append(np.concatenate(list(padded), axis=1))
    return np.concatenate(strips)
