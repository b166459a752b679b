"""Chooses the images that are worth a look before a run, and says why."""

from collections.abc import Iterable, Iterator

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
SMALL = "smaller than --image_size={}"
LARGEST = f"the largest, of more than {_MUCH_LARGER} times as many pixels as usual"


def odd_images(split: Split, headers: Headers, sample: Sample, image_size: int) -> Iterator[tuple[str, list[Odd]]]:
    """Yields what is odd about images of a split, with the images, in the order of their names.

    An image may be odd in several ways. What most images have in common is not odd; `common` has it.

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
    yield UNREADABLE, _sorted(odd(position, reason) for position, reason in unreadable.items())
    questions = ((sample.positions[i], question) for i, question in sample.questions.items())
    yield UNKNOWN, _sorted(odd(position, text.partition("Received: ")[2].rstrip(".")) for position, text in questions)
    yield (
        CONSTANT,
        _sorted(
            odd(position, CONSTANT + (", with all of the picture in its transparency" if seen.transparent else ""))
            for position, seen in zip(sample.positions, sample.seen, strict=True)
            if seen is not None and seen.constant
        ),
    )

    def described(i: int) -> Odd:
        kind = headers.kinds[headers.kind[i]]
        return odd(headers.positions[i], f"{headers.width[i]} x {headers.height[i]}, {kind}")

    for kind, flag in _flags(headers, image_size).items() if not split.in_memory else ():
        if not _is_common(flag):
            yield kind, _sorted(map(described, np.flatnonzero(flag).tolist()))
    if not split.in_memory:
        yield LARGEST, [described(i) for i in _largest(headers)]


def common(split: Split, headers: Headers, image_size: int) -> Iterator[str]:
    """Yields what most images of a split have in common, although it would be odd of a few, in sentences."""
    for kind, flag in _flags(headers, image_size).items():
        if _is_common(flag):
            yield f"{int(flag.sum()):,} of the {len(flag):,} {split.role} images: {kind}."


def _sorted(odd: Iterable[Odd]) -> list[Odd]:
    return sorted(odd, key=lambda one: one.name)


def _is_common(flag: np.ndarray) -> bool:
    return 2 * int(flag.sum()) > len(flag)


def _flags(headers: Headers, image_size: int) -> dict[str, np.ndarray]:
    """Returns which images are odd, `[n] bool`, by the kind of what is odd."""
    width, height = headers.width.astype(np.int64), headers.height.astype(np.int64)
    longer, shorter = np.maximum(width, height), np.minimum(width, height)
    flags = {
        TURNED: headers.turned,
        PAGES: headers.pages,
        CHANNELS: headers.channels,
        LONG: longer > _LONG * shorter,
        SMALL.format(image_size): shorter < image_size,
    }
    return {kind: flag & headers.readable for kind, flag in flags.items()}


def _largest(headers: Headers) -> list[int]:
    """Returns the indices of the largest images, if they are much larger than most, the largest first."""
    if not headers.readable.any():
        return []
    pixels = headers.width.astype(np.int64) * headers.height
    largest = np.argsort(-pixels, kind="stable")[:_LARGEST]
    return largest[pixels[largest] > _MUCH_LARGER * np.median(pixels[headers.readable])].tolist()
