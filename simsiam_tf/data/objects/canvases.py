"""Chooses the sizes of batches: a few canvases, of which each batch gets the smallest that holds all its images."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from simsiam_tf.data.objects.resize import Recipe, resized

# The sides of canvases are multiples of this, the stride of the deepest features of a ResNet.
_MULTIPLE = 32


@dataclasses.dataclass(frozen=True)
class Canvases:
    """Holds the sizes that batches may have.

    Attributes:
        sizes: heights and widths in pixels, from the smallest area to the largest; the last one holds any image.
    """

    sizes: tuple[tuple[int, int], ...]

    @property
    def largest(self) -> tuple[int, int]:
        """Returns the height and width that hold any image of the set."""
        return self.sizes[-1]

    def holding(self, sizes: np.ndarray) -> tuple[int, int]:
        """Returns the smallest canvas that holds images of some sizes, `[n, 2]`."""
        height, width = sizes.max(axis=0)
        return next(size for size in self.sizes if size[0] >= height and size[1] >= width)


def canvases_of(recipe: Recipe, sizes: np.ndarray, short_sides: Sequence[int]) -> Canvases:
    """Chooses the canvases of a set of images.

    The sides are those of square images, of the usual photographs with sides of 3 to 4, and of the longest images.

    Args:
        recipe: how images are resized.
        sizes: the heights and widths of all images of the set, `[N, 2] int64`.
        short_sides: the lengths that the shorter side of an image may have.

    Example:
        >>> import numpy as np
        >>> canvases_of(Recipe((800,)), np.array([[480, 640], [480, 480]]), (800,)).sizes
        ((800, 800), (800, 1088))
    """
    largest = np.max(
        [resized(sizes, np.full(len(sizes), s), recipe.long_side).max(axis=0) for s in short_sides], axis=0
    )
    height, width = (_rounded(int(side)) for side in largest)
    if recipe.canvases == "one":
        return Canvases(((height, width),))
    square, usual = _rounded(max(short_sides)), _rounded(int(max(short_sides) * 4 / 3 + 0.5))
    sides = [[side for side in (square, usual) if side < longest] + [longest] for longest in (height, width)]
    every = {(h, w) for h in sides[0] for w in sides[1]}
    return Canvases(tuple(sorted(every, key=lambda size: (size[0] * size[1], size))))


def _rounded(side: int) -> int:
    return -(-side // _MULTIPLE) * _MULTIPLE
