"""Counts annotations that are broken, names them, and refuses a set that has too many of them."""

import logging
from collections import Counter

from simsiam_tf.data.unreadable import may_be_unreadable
from simsiam_tf.errors import UsageError
from simsiam_tf.files import printable

_log = logging.getLogger(__name__)

# The number of broken annotations that the warning names.
_NAMED = 3


class BrokenAnnotations:
    """Collects the annotations of a set that are left out because they are broken.

    Args:
        source: the name of the set, for messages.
        max_fraction: the largest fraction of the annotations that may be broken.

    Example:
        broken = BrokenAnnotations("coco/train2017", 0.01)
        broken.add("7.jpg, annotation 12", "its box is empty", "empty")
        broken.check(1000)
    """

    def __init__(self, source: str, max_fraction: float) -> None:
        self._source, self._max_fraction = source, max_fraction
        self._lines: list[str] = []
        self._kinds: Counter[str] = Counter()
        self.num_clipped = 0

    @property
    def lines(self) -> tuple[str, ...]:
        """Returns the place and the reason of each broken annotation, as one line of text each."""
        return tuple(self._lines)

    def add(self, place: str, reason: str, kind: str) -> None:
        """Records a broken annotation.

        Args:
            place: the image, and which of its annotations.
            reason: what is wrong, as a phrase.
            kind: what is wrong in a word or two, the same for all that are broken in this way.
        """
        self._lines.append(f"{printable(place)}: {printable(reason)}")
        self._kinds[kind] += 1

    def check(self, total: int) -> None:
        """Warns of the broken annotations, once all are known.

        Args:
            total: the number of all annotations, broken or not.

        Raises:
            UsageError: if there are too many.
        """
        if self.num_clipped:
            _log.debug("%d boxes of %s reached beyond their images and were cut off.", self.num_clipped, self._source)
        count = len(self._lines)
        if not count:
            return
        kinds = ", ".join(f"{kind}: {number}" for kind, number in self._kinds.items())
        if not may_be_unreadable(count, total, self._max_fraction):
            raise UsageError(
                f"At most {self._max_fraction:.2%} of the {total} annotations of {self._source} may be broken, and one "
                f"in any case (--max_bad_fraction). Received: {count} ({kinds}), the first of them {self._lines[0]}."
            )
        named = "; ".join(self._lines[:_NAMED]) + ("; ..." if count > _NAMED else "")
        _log.warning(f"left out {count} of {total} annotations of {self._source} ({kinds}): {named}")
