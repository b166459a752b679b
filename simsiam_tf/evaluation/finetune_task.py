"""Holds the labelled images and the files of a fine-tuning."""

import contextlib
import dataclasses
import logging
import math
import pathlib
import time
from collections.abc import Iterator

import numpy as np

from simsiam_tf.data.sources import Source
from simsiam_tf.files import make_way, parse_json, read_regular, write_json

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class FinetuneTask:
    """Holds the labelled images of a fine-tuning, and the paths of its files.

    Attributes:
        name: the part of the records' names that says which labels are used, for example `10pct`.
        train: all training images.
        rows: the positions in `train` of the labelled images that are used.
        test: the labelled test images.
        batch_size: the number of images in a step, over all replicas.
        directory: the folder of the fine-tuning.
    """

    name: str
    train: Source
    rows: np.ndarray
    test: Source
    batch_size: int
    directory: pathlib.Path

    @property
    def labelled_path(self) -> pathlib.Path:
        """Returns the path of the list of labelled images."""
        return self.directory / "labelled.txt"

    @property
    def _seconds_path(self) -> pathlib.Path:
        return self.directory / "seconds.json"

    def seconds_trained(self) -> float:
        """Returns the seconds of training so far, those before an interruption included."""
        return _read_seconds(self._seconds_path)

    @contextlib.contextmanager
    def counting_seconds(self) -> Iterator[None]:
        """Adds the seconds of the `with` block to those trained, even if the block raises."""
        start = time.monotonic()
        try:
            yield
        finally:
            make_way(self._seconds_path)
            write_json(self._seconds_path, self.seconds_trained() + time.monotonic() - start)


def _read_seconds(path: pathlib.Path) -> float:
    """Reads the seconds of training so far; 0 if they were not counted yet, or the file is damaged, which is said."""
    try:
        seconds = parse_json(read_regular(path))
        if type(seconds) in (int, float) and 0 <= seconds < math.inf:
            return seconds
    except FileNotFoundError:
        return 0.0
    except (OSError, ValueError):
        pass
    _log.warning(f"{path} is damaged; the seconds of fine-tuning are counted from 0.")
    return 0.0
