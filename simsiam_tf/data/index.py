"""Keeps what was found out about a data set, so that a later start reads it instead of finding it out again.

An index lies in the folder `.simsiam_tf` beside the data. Where that cannot be written, it lies in a cache folder.
"""

import contextlib
import hashlib
import io
import json
import logging
import os
import pathlib
import time
import zipfile
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from simsiam_tf.config.data import DataConfig
from simsiam_tf.files import expand, printable, read_regular, replacing

_log = logging.getLogger(__name__)

_FORMAT = 1
_FOLDER = ".simsiam_tf"
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
) -> dict[str, np.ndarray]:
    """Returns arrays from an index. If there is none, or it is of other data, they are made and kept.

    Args:
        name: the name of the index, different for each part of the data set.
        beside: the folder of the data.
        config: the settings of the data set: where indices may lie, and whether they are made anew.
        stamp: what tells the data from others and from changed ones, as JSON can hold it.
        make: a function that finds the arrays out.

    Returns:
        The arrays by name. They hold no Python objects.
    """
    places = _places(name, beside, config)
    stamp = json.loads(json.dumps({"format": _FORMAT, **stamp}))
    for path in places:
        if config.index == "rebuild" and path not in _rebuilt:
            continue
        with contextlib.suppress(OSError, ValueError, KeyError, zipfile.BadZipFile):  # none, or a damaged one
            found = _read(path)
            if json.loads(unpacked(found.pop("stamp"))[0]) == stamp:
                return found
    start = time.monotonic()
    arrays = make()
    seconds = time.monotonic() - start
    written = _write(places, {**arrays, "stamp": packed([json.dumps(stamp)])})
    if written is not None:
        _rebuilt.update(places)
        if seconds > _LONG:
            _log.info(f"Read the whole data set in {seconds:.0f} seconds; {printable(str(written))} keeps its index.")
    return arrays


def packed(texts: Sequence[str]) -> np.ndarray:
    """Returns texts as an array of bytes, `[n] uint8`. The texts must not have the character NUL."""
    return np.frombuffer("\0".join(texts).encode("utf-8", "surrogateescape"), np.uint8)


def unpacked(array: np.ndarray) -> list[str]:
    """Returns the texts of an array that `packed` made; one empty text if it is empty."""
    return array.tobytes().decode("utf-8", "surrogateescape").split("\0")


def _places(name: str, beside: pathlib.Path, config: DataConfig) -> list[pathlib.Path]:
    """Returns the paths at which the index may lie, the best first."""
    of_data = hashlib.sha256(os.fsencode(beside.absolute())).hexdigest()[:16]
    cache = pathlib.Path(expand(config.index_dir or _CACHE)) / of_data
    folders = [cache] if config.index_dir else [beside / _FOLDER, cache]
    return [folder / f"{name}.npz" for folder in folders]


def _read(path: pathlib.Path) -> dict[str, np.ndarray]:
    with np.load(io.BytesIO(read_regular(path)), allow_pickle=False) as content:
        return {name: content[name] for name in content.files}


def _write(places: Sequence[pathlib.Path], arrays: Mapping[str, np.ndarray]) -> pathlib.Path | None:
    """Writes an index to the first place that can be written, and returns its path; `None` if there is none."""
    for path in places:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(path) as draft, draft.open("wb") as file:
                np.savez(file, **arrays)  # type: ignore[arg-type]
            return path
        except OSError as error:
            _log.debug("The index %s cannot be written: %s", path, error)
    return None
