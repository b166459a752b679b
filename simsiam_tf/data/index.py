"""Keeps what was found out about a data set, so that a later start reads it instead of finding it out again.

An index is a hidden file beside the data, and never a folder: other programs take each folder of an image folder for a
class. Where the data cannot be written, it lies in a cache folder.
"""

import hashlib
import json
import logging
import os
import pathlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from simsiam_tf.config.data import DataConfig
from simsiam_tf.files import explain, load_arrays, make_folder, modified, parse_json, printable, replacing, user_path

_log = logging.getLogger(__name__)

# The names of indices beside the data begin with this.
PREFIX = ".simsiam_tf-"
_FORMAT = 1
_CACHE = "~/.cache/simsiam_tf"
# Making an index is worth a word if it takes this many seconds.
_LONG = 3.0
# The indices that this process has made anew for --index=rebuild.
_rebuilt: set[pathlib.Path] = set()


def kept(
    name: str,
    beside: pathlib.Path,
    config: DataConfig,
    stamp: Mapping[str, Any],
    make: Callable[[], dict[str, np.ndarray]],
    fits: Callable[[dict[str, np.ndarray]], bool],
) -> dict[str, np.ndarray]:
    """Returns arrays from an index. If there is none, or it is of other data or damaged, they are made and kept.

    Args:
        name: the name of the index, different for each part of the data set.
        beside: the folder of the data.
        config: the settings of the data set: where indices may lie, and whether they are made anew.
        stamp: what tells the data from others and from changed ones, as JSON can hold it.
        make: a function that finds the arrays out.
        fits: a function that says whether arrays can be those of the data; it may raise whatever wrong ones make it
            raise. An index lies beside the data, and may have come with them from elsewhere.

    Returns:
        The arrays by name. They hold no Python objects.
    """
    index, stamp = Index(name, beside, config), json.loads(json.dumps(stamp))
    for held, arrays in index.found():
        if held == stamp and is_whole(fits, arrays):
            return arrays
    start = time.monotonic()
    arrays = make()
    index.keep(stamp, arrays, time.monotonic() - start)
    return arrays


class Index:
    """Reads and writes one index of a data set.

    Args:
        name: the name of the index, different for each part of the data set.
        beside: the folder of the data.
        config: the settings of the data set: where indices may lie, and whether they are made anew.
    """

    def __init__(self, name: str, beside: pathlib.Path, config: DataConfig) -> None:
        self._places = _places(name, beside, config)
        self._rebuilds = config.index == "rebuild"

    def found(self) -> Iterator[tuple[dict[str, Any], dict[str, np.ndarray]]]:
        """Gives the stamp and the arrays of each index that there is. The caller knows whether it is of these data."""
        for path in sorted(self._places, key=modified, reverse=True):  # one that cannot be replaced may be older
            if self._rebuilds and path not in _rebuilt:
                continue
            try:
                arrays = load_arrays(path)
                stamp = parse_json(arrays.pop("stamp").tobytes())
                is_ours = isinstance(stamp, dict) and stamp.pop("format", 0) == _FORMAT
            except (OSError, ValueError, KeyError):  # none, or damaged
                continue
            except Exception as error:
                if explain(error) is None:  # a bucket may refuse it, for want of rights
                    raise
                continue
            if is_ours:
                yield stamp, arrays

    def keep(self, stamp: Mapping[str, Any], arrays: Mapping[str, np.ndarray], seconds: float) -> None:
        """Writes the index, in the first place that can be written.

        Args:
            stamp: what tells the data from others and from changed ones, as JSON can hold it.
            arrays: what was found out about the data.
            seconds: the time that finding it out took; a long time is worth a line.
        """
        text = json.dumps({"format": _FORMAT, **stamp})
        written = _write(self._places, {**arrays, "stamp": packed([text])})
        if written is None:
            return
        _rebuilt.add(written)
        if seconds > _LONG:
            _log.info(f"Read the whole data set in {seconds:.0f} seconds; {printable(str(written))} keeps its index.")


def is_whole(fits: Callable[[dict[str, np.ndarray]], bool], arrays: dict[str, np.ndarray]) -> bool:
    """Returns whether arrays of an index can be those of the data.

    Args:
        fits: a function that says so, or raises an error for wrong ones.
        arrays: the arrays by name.
    """
    try:
        return fits(arrays)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, OverflowError):
        return False


def packed(texts: Sequence[str]) -> np.ndarray:
    """Returns texts as an array of bytes, `[n] uint8`. The texts must not have the character NUL."""
    return np.frombuffer("\0".join(texts).encode("utf-8", "surrogateescape"), np.uint8)


def unpacked(array: np.ndarray) -> list[str]:
    """Returns the texts of an array that `packed` made; one empty text if it is empty."""
    return array.tobytes().decode("utf-8", "surrogateescape").split("\0")


def _places(name: str, beside: pathlib.Path, config: DataConfig) -> list[pathlib.Path]:
    """Returns the paths at which the index may lie, the best first."""
    of_data = hashlib.sha256(os.fsencode(beside)).hexdigest()[:16]
    cache = user_path(config.index_dir or _CACHE) / of_data
    of_cache = cache / f"{name}.npz"
    return [of_cache] if config.index_dir else [beside / f"{PREFIX}{name}.npz", of_cache]


def _write(places: Sequence[pathlib.Path], arrays: Mapping[str, np.ndarray]) -> pathlib.Path | None:
    """Writes an index to the first place that can be written, and returns its path; `None` if there is none."""
    for path in places:
        try:
            make_folder(path.parent)
            with replacing(path) as draft, draft.open("wb") as file:
                np.savez(file, **arrays)  # type: ignore[arg-type]
            return path
        except Exception as error:
            if not isinstance(error, OSError) and explain(error) is None:  # no answer of a bucket either
                raise
            _log.debug("The index %s cannot be written: %s", path, error)
    return None
