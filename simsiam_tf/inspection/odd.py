"""Chooses the images that are worth a look before a run, and says why."""

from collections.abc import Iterator

import numpy as np

from simsiam_tf.inspection.findings import Odd
from simsiam_tf.inspection.headers import Headers
from simsiam_tf.inspection.sampled import Sample
from simsiam_tf.inspection.splits import Split

# A random crop has sides of 3 to 4 at most, so that it shows a small part only of an image that is much longer.
_LONG = 4
_LARGEST, _MUCH_LARGER = 5, 4

UNREADABLE = "cannot be read"
UNKNOWN = "values of unknown range"
CONSTANT = "of a single colour"
TURNED = "turned upright, as EXIF says"
PAGES = "several pages or frames, of which the first is used"
CHANNELS = "channels that are not used"
LONG = f"more than {_LONG} times as long as wide"
SMALL = "smaller than --image_size"
LARGEST = f"the largest, of more than {_MUCH_LARGER} times as many pixels as usual"


def odd_images(split: Split, headers: Headers, sample: Sample, image_size: int) -> Iterator[tuple[str, Odd]]:
    """Yields the images of a split that are odd, each with the kind of what is odd. An image may be odd in many ways.

    Args:
        split: the split.
        headers: the headers of its images.
        sample: what was seen of the pixels of some of them.
        image_size: the side of the views that a run draws, in pixels.
    """

    def odd(position: int, why: str) -> Odd:
        return Odd(split.role, int(position), split.name(int(position)), why)

    unreadable = {headers.positions[i]: reason for i, reason in headers.reasons.items()}
    unreadable |= {sample.positions[i]: reason for i, reason in sample.reasons.items()}
    for position, reason in sorted(unreadable.items()):
        yield UNREADABLE, odd(position, reason)
    for i, question in sorted(sample.questions.items()):
        yield UNKNOWN, odd(sample.positions[i], question.partition("Received: ")[2].rstrip("."))
    for position, seen in zip(sample.positions, sample.seen, strict=True):
        if seen is not None and seen.constant:
            hidden = ", with all of the picture in its transparency" if seen.transparent else ""
            yield CONSTANT, odd(position, f"{CONSTANT}{hidden}")
    for kind, chosen in (_of_headers(headers, image_size) if not split.in_memory else {}).items():
        for i in chosen.tolist():
            size = f"{headers.width[i]} x {headers.height[i]}"
            yield kind, odd(headers.positions[i], f"{size}, {headers.kinds[headers.kind[i]]}")


def _of_headers(headers: Headers, image_size: int) -> dict[str, np.ndarray]:
    """Returns the indices of odd images, by the kind of what is odd."""
    width, height = headers.width.astype(np.int64), headers.height.astype(np.int64)
    longer, shorter = np.maximum(width, height), np.minimum(width, height)
    flags = {
        TURNED: headers.turned,
        PAGES: headers.pages,
        CHANNELS: headers.channels,
        LONG: longer > _LONG * shorter,
        SMALL: shorter < image_size,
    }
    found = {kind: np.flatnonzero(flag & headers.readable) for kind, flag in flags.items()}
    pixels = np.where(headers.readable, width * height, 0)
    if headers.readable.any():
        largest = np.argsort(-pixels, kind="stable")[:_LARGEST]
        found[LARGEST] = largest[pixels[largest] > _MUCH_LARGER * np.median(pixels[headers.readable])]
    return found
