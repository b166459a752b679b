"""Writes arrays as a file that `torch.load(weights_only=True)` reads, without PyTorch."""

import io
import struct
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np

_KINDS = {"f4": "FloatStorage", "f8": "DoubleStorage", "i8": "LongStorage"}
# The date of every part, so that the same weights make the same bytes.
_DATE = (1980, 1, 1, 0, 0, 0)


def pth_bytes(tree: Mapping[str, Any]) -> bytes:
    """Returns the content of a file of PyTorch.

    Args:
        tree: arrays of float32, float64 or int64, texts, integers, and further mappings of these, by name.

    Raises:
        TypeError: if the tree holds anything else.

    Example:
        pathlib.Path("network.pth").write_bytes(pth_bytes({"conv1.weight": kernel}))
    """
    storages: list[bytes] = []
    # A pickle of protocol 2, which every version of PyTorch reads.
    pickled = b"\x80\x02" + _pickled(tree, storages) + b"."
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_STORED) as archive:
        parts = {"data.pkl": pickled, "byteorder": b"little"}
        parts |= {f"data/{key}": storage for key, storage in enumerate(storages)} | {"version": b"3\n"}
        for name, part in parts.items():
            archive.writestr(zipfile.ZipInfo(f"archive/{name}", _DATE), part)
    return content.getvalue()


def _pickled(value: Any, storages: list[bytes]) -> bytes:
    """Returns the opcodes that make a value, and adds the numbers of arrays to the storages."""
    if isinstance(value, np.ndarray):
        return _pickled_array(value, storages)
    if isinstance(value, Mapping):
        return b"}(" + b"".join(_text(key) + _pickled(item, storages) for key, item in value.items()) + b"u"
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, int):
        return _integer(value)
    raise TypeError(f"A file of PyTorch is not written with a {type(value).__name__} in it.")


def _pickled_array(array: np.ndarray, storages: list[bytes]) -> bytes:
    array = np.ascontiguousarray(array, array.dtype.newbyteorder("<")).reshape(array.shape)
    kind = _KINDS.get(array.dtype.str[1:])
    if kind is None:
        raise TypeError(f"A file of PyTorch is not written with {array.dtype} in it.")
    key = str(len(storages))
    storages.append(array.tobytes())
    name = b"ctorch\n" + kind.encode() + b"\n"
    storage = _tuple(_text("storage"), name, _text(key), _text("cpu"), _integer(array.size)) + b"Q"
    size = _tuple(*map(_integer, array.shape))
    strides = _tuple(*(_integer(step // array.itemsize) for step in array.strides))
    hooks = b"ccollections\nOrderedDict\n)R"
    # The tensor begins at number 0, and needs no gradient (\x89 is False).
    return b"ctorch._utils\n_rebuild_tensor_v2\n" + _tuple(storage, _integer(0), size, strides, b"\x89", hooks) + b"R"


def _tuple(*parts: bytes) -> bytes:
    return b"(" + b"".join(parts) + b"t"


def _text(text: str) -> bytes:
    encoded = text.encode()
    return b"X" + struct.pack("<I", len(encoded)) + encoded


def _integer(number: int) -> bytes:
    return b"\x8a\x08" + struct.pack("<q", number)
