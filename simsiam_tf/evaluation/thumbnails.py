"""Pictures of images: thumbnails, contact sheets, a query and its neighbours."""

from collections.abc import Sequence

import numpy as np

from simsiam_tf.augment import ops, policies
from simsiam_tf.data.pipeline import views_of
from simsiam_tf.data.sources import Source

_GAP = 2  # white pixels between images
_GROUP_GAP = 8
VISIBLE = 96  # pixels to which smaller images are enlarged


def thumbnails(source: Source, index: Sequence[int], size: int) -> np.ndarray:
    """The centres of some images, `[n, size, size, 3] uint8`.

    Args:
        source: the images.
        index: positions, n of them.
        size: side, pixels.
    """
    if len(index) == 0:
        return np.zeros((0, size, size, 3), np.uint8)
    return ops.to_levels(views_of(source, policies.POLICIES["none"][:1], size, 0, 0, index)[0]).numpy()


def view_rows(
    source: Source, views: tuple[policies.Policy, ...], size: int, seed: int, index: Sequence[int], epochs: int
) -> list[list[np.ndarray]]:
    """Some images, and their views in the first epochs of a run: groups of rows for `contact_sheet`."""
    groups = [[thumbnails(source, index, size)]]
    for epoch in range(epochs):
        groups.append([ops.to_levels(x).numpy() for x in views_of(source, views, size, seed, epoch, index)])
    return groups


def contact_sheet(groups: Sequence[Sequence[np.ndarray]]) -> np.ndarray:
    """One picture of groups of rows of images `[n, S, S, 3] uint8`, small ones enlarged; `[H, W, 3] uint8`."""
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
