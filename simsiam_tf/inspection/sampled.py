"""Decodes a sample of images: their values, what is unusual about them, and thumbnails to compare."""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image

from simsiam_tf.data.decoding import open_image, room
from simsiam_tf.data.pixels import UnknownValuesError
from simsiam_tf.data.sight import Seen, Sight, array_of, see, seen_in_array
from simsiam_tf.host import usable_cores
from simsiam_tf.inspection.headers import digest_of_pixels, reason_of
from simsiam_tf.inspection.splits import Split
from simsiam_tf.inspection.threads import in_threads

# The side of the thumbnails that near-duplicates are found by.
SIDE = 9
# A JPEG file is decoded at 1/8 of its size, or so that this many pixels remain on a side: 8 for each of a thumbnail.
_DRAFT = 8 * SIDE
_CHUNK = 8


@dataclasses.dataclass(eq=False)
class Sample:
    """Holds what was seen of the pixels of some images of a split.

    Attributes:
        positions: the positions of the images in their split, `[n]`.
        thumbnails: a thumbnail of each image, `[n, 9, 9, 3] uint8`.
        digests: a hash of the pixels, `[n, 2] uint64`, for images that are no files.
        seen: what was seen of each image; `None` if it was not decoded.
        reasons: why an image is unreadable, by its index in these arrays.
        questions: why the values of an image are unknown, by its index in these arrays.
        reduced: whether some images were decoded at a reduced size.
    """

    positions: Sequence[int]
    thumbnails: np.ndarray
    digests: np.ndarray
    seen: list[Seen | None]
    reasons: dict[int, str] = dataclasses.field(default_factory=dict)
    questions: dict[int, str] = dataclasses.field(default_factory=dict)
    reduced: bool = False

    @property
    def decoded(self) -> np.ndarray:
        """Returns which images were decoded, `[n] bool`."""
        return np.array([seen is not None for seen in self.seen], bool)

    def sight(self) -> Sight:
        """Returns the counts of what was seen. An image of unknown values counts as looked at only."""
        sight = Sight()
        for i, seen in enumerate(self.seen):
            if i in self.questions:
                sight.looked_at += 1
            else:
                sight.add(seen)
        return sight


def choose(total: int, count: int) -> Sequence[int]:
    """Draws the positions of a sample, always the same ones, in ascending order; all if `count` is 0."""
    if not 0 < count < total:
        return range(total)
    return sorted(np.random.default_rng(0).choice(total, count, replace=False).tolist())


def read_sample(split: Split, positions: Sequence[int], add: Callable[[int], None]) -> Sample:
    """Decodes some images of a split. An image that cannot be decoded is recorded with the reason.

    Args:
        split: the split.
        positions: the positions of the images.
        add: a function that is told how many images were read.
    """
    n = len(positions)
    thumbnails, digests = np.zeros((n, SIDE, SIDE, 3), np.uint8), np.zeros((n, 2), np.uint64)
    sample = Sample(positions, thumbnails, digests, [None] * n)

    def read(chunk: Sequence[int]) -> None:
        for i in chunk:
            try:
                _read(split, sample, i)
            except UnknownValuesError as error:
                sample.questions[i] = str(error)
            except Exception as error:  # Pillow raises errors of many types
                sample.reasons[i] = reason_of(error)

    for chunk, _ in in_threads(read, range(n), _CHUNK, 2 * usable_cores()):
        add(len(chunk))
    return sample


def _read(split: Split, sample: Sample, i: int) -> None:
    if split.in_memory:
        array = array_of(split.source, sample.positions[i])
        seen, rgb = seen_in_array(array), Image.fromarray(array)
    else:
        seen, rgb, is_reduced = _decode(split, sample.positions[i])
        sample.reduced |= is_reduced
    if split.files is None:
        sample.digests[i] = digest_of_pixels(np.asarray(rgb))
    sample.thumbnails[i] = np.asarray(rgb.resize((SIDE, SIDE), Image.Resampling.BOX))
    sample.seen[i] = seen


def _decode(split: Split, position: int) -> tuple[Seen, Image.Image, bool]:
    """Decodes an image; a JPEG file at a reduced size, unless its pixels are hashed or it seems of a single colour."""
    with split.opened(position) as content:
        image = open_image(content, split.pixels)
        with room.for_pixels(image.width * image.height):
            is_reduced = split.files is not None and _reduce(image)
            seen, rgb = see(image, split.pixels)
            if seen.constant and is_reduced:
                content.seek(0)
                seen, rgb = see(open_image(content, split.pixels), split.pixels)
            return seen, rgb, is_reduced


def _reduce(image: Image.Image) -> bool:
    size = image.size
    image.draft(None, (_DRAFT, _DRAFT))
    return image.size != size
