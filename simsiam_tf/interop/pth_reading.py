"""Reads the tensors of a file of PyTorch, without PyTorch and without running anything that the file holds.

Such a file is a pickle, and a pickle may name any function to be called. Here each name becomes an object that does
nothing, but for the few that describe tensors.
"""

import collections
import dataclasses
import functools
import math
import zipfile
from collections.abc import Callable, Mapping
from typing import IO, Any

import ml_dtypes
import numpy as np

from simsiam_tf.interop.harmless_pickle import HarmlessUnpickler, Nothing, NoWeightsError

# The first number of a file that PyTorch before 1.6 wrote.
_LEGACY = 0x1950A86A20F9469CFC6C
_DTYPES: dict[str, Any] = {
    "FloatStorage": np.float32,
    "DoubleStorage": np.float64,
    "HalfStorage": np.float16,
    "BFloat16Storage": ml_dtypes.bfloat16,
    "LongStorage": np.int64,
    "IntStorage": np.int32,
    "ShortStorage": np.int16,
    "CharStorage": np.int8,
    "ByteStorage": np.uint8,
    "BoolStorage": np.bool_,
}
# No weight has more dimensions.
_MOST_DIMENSIONS = 32
# The greatest length of the pickle that describes the tensors, in bytes; that of a ResNet-152 has a tenth of 1 MiB.
_LONGEST_PICKLE = 64 << 20
# The keys of a checkpoint below which programs keep the weights of the model, the commonest first.
_KEYS = ("state_dict", "model", "model_state_dict", "network", "backbone")


def read_pth(file: IO[bytes]) -> dict[str, np.ndarray]:
    """Reads the weights of a model from a file that `torch.save` wrote.

    The weights are those of the whole file, or of its entry `state_dict` or `model`. The rest, such as the state of
    an optimizer, is not read.

    Args:
        file: the file, open for reading and seeking: a zip archive, or the format before PyTorch 1.6.

    Returns:
        The arrays by their names in PyTorch. They cannot be written to.

    Raises:
        NoWeightsError: if the file is damaged, was not written by `torch.save`, or holds no weights by name.

    Example:
        with open("checkpoint_0099.pth.tar", "rb") as file:
            arrays = read_pth(file)
    """
    try:
        if zipfile.is_zipfile(file):
            return _read_zip(file)
        file.seek(0)
        return _read_legacy(file)
    except (NoWeightsError, OSError):
        raise
    except Exception as error:  # a damaged pickle can raise nearly anything, and ask for any memory
        # Without the text of the error, which may hold an object of the file, of any length.
        raise NoWeightsError(f"it is damaged, or not a file of torch.save ({type(error).__name__})") from error


def _read_zip(file: IO[bytes]) -> dict[str, np.ndarray]:
    with zipfile.ZipFile(file) as archive:
        entries = {entry.filename: entry for entry in archive.infolist()}
        pickles = [name for name in entries if name.endswith("/data.pkl") or name == "data.pkl"]
        if len(pickles) != 1:
            raise NoWeightsError("it is a zip archive, but not one of torch.save")
        root = pickles[0].removesuffix("data.pkl")
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries.values()):
            raise NoWeightsError("its parts are compressed, which torch.save does not do")
        size = file.seek(0, 2)
        if sum(entry.file_size for entry in entries.values()) > size:
            raise NoWeightsError("its parts are larger than the file")
        if f"{root}byteorder" in entries and archive.read(f"{root}byteorder") != b"little":
            raise NoWeightsError("it was written on a big-endian machine")
        read = functools.cache(lambda key: archive.read(f"{root}data/{key}"))

        def storage(pid: tuple[Any, ...]) -> _Storage:
            _, kind, key, _, count = pid
            return _Storage(_dtype_of(kind), int(count), lambda: read(_text(key)))

        with archive.open(pickles[0]) as tree:
            return _weights(_unpickler(tree, storage).load())


def _read_legacy(file: IO[bytes]) -> dict[str, np.ndarray]:
    """Reads the format before PyTorch 1.6: pickles one after another, the fourth of the model, then the storages."""
    if file.read(1) != b"\x80" or file.seek(0) or _unpickler(file, _no_storage).load() != _LEGACY:
        raise NoWeightsError("it was not written by torch.save")
    _unpickler(file, _no_storage).load()  # the version
    machine = _unpickler(file, _no_storage).load()
    if isinstance(machine, dict) and machine.get("little_endian") is False:
        raise NoWeightsError("it was written on a big-endian machine")
    kinds: dict[str, tuple[np.dtype | None, int]] = {}
    contents: dict[str, bytes] = {}

    def storage(pid: tuple[Any, ...]) -> _Storage:
        _, kind, key, _, count, view = pid
        if view is not None:
            raise NoWeightsError("it holds views of storages, as PyTorch before 0.4 wrote them")
        dtype = kinds.setdefault(_text(key), (_dtype_of(kind), int(count)))[0]
        return _Storage(dtype, int(count), lambda: contents[key])

    tree = _unpickler(file, storage).load()
    for key in _unpickler(file, _no_storage).load():
        dtype, count = kinds[_text(key)]
        if int.from_bytes(file.read(8), "little") != count:
            raise NoWeightsError("a part of it has another length than it says")
        if dtype is None:
            raise NoWeightsError("it holds numbers of a type that is not known")
        at, end = file.tell(), file.seek(0, 2)
        if count * dtype.itemsize > end - file.seek(at):
            raise NoWeightsError("it is cut short")
        contents[key] = file.read(count * dtype.itemsize)
    return _weights(tree)


def _no_storage(_: Any) -> Any:
    raise NoWeightsError("it was not written by torch.save")


@dataclasses.dataclass(frozen=True)
class _Storage:
    """Holds where the numbers of one tensor or several are, which are read when they are needed."""

    dtype: np.dtype | None
    count: int
    read: Callable[[], bytes]

    def numbers(self) -> np.ndarray:
        if self.dtype is None:
            raise NoWeightsError("it holds numbers of a type that is not known")
        content = self.read()
        if len(content) < self.count * self.dtype.itemsize:
            raise NoWeightsError("it is cut short")
        return np.frombuffer(content, self.dtype, self.count)


@dataclasses.dataclass(frozen=True)
class _Tensor:
    """Describes a tensor: a view of a storage."""

    storage: _Storage
    offset: int
    size: tuple[int, ...]
    strides: tuple[int, ...]

    def array(self) -> np.ndarray:
        """Returns the numbers, as a view that cannot be written to.

        Raises:
            NoWeightsError: if the tensor reaches beyond its storage, or has more numbers than it.
        """
        if len(self.size) > _MOST_DIMENSIONS:  # the product of a million sizes takes hours
            raise NoWeightsError("it holds a tensor of too many dimensions")
        count, held = math.prod(self.size), self.storage.count
        sane = len(self.size) == len(self.strides) and min((self.offset, *self.size, *self.strides)) >= 0
        last = sum((side - 1) * stride for side, stride in zip(self.size, self.strides, strict=False))
        if not sane or count > held or (count and self.offset + last >= held):
            raise NoWeightsError("it holds a tensor that reaches beyond its numbers")
        numbers = self.storage.numbers()
        steps = [stride * numbers.itemsize for stride in self.strides]
        start = numbers[self.offset :] if count else numbers[:0]
        return np.lib.stride_tricks.as_strided(start, self.size, steps, writeable=False)


class _Kind:
    """Stands for a class of storages, such as `torch.FloatStorage`."""

    def __init__(self, dtype: Any) -> None:
        self.dtype = np.dtype(dtype)


class _Bounded:
    """Reads a pickle from a file, up to a greatest length, whatever length the pickle claims."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self._left = file, _LONGEST_PICKLE

    def read(self, length: int) -> bytes:
        self._take(length)
        return self._file.read(length)

    def readline(self) -> bytes:
        line = self._file.readline(self._left + 1)
        self._take(len(line))
        return line

    def _take(self, length: int) -> None:
        if length > self._left:
            raise NoWeightsError("it is damaged, or what describes its tensors is too long")
        self._left -= length


def _dtype_of(kind: Any) -> np.dtype | None:
    return kind.dtype if isinstance(kind, _Kind) else None


def _text(key: Any) -> str:
    if not isinstance(key, str):
        raise NoWeightsError("a name in it is no text")
    return key


def _unpickler(file: IO[bytes], storage: Callable[[Any], Any]) -> HarmlessUnpickler:
    known = {
        ("collections", "OrderedDict"): _empty,
        ("torch", "Size"): tuple,
        ("torch._utils", "_rebuild_tensor"): _tensor,
        ("torch._utils", "_rebuild_tensor_v2"): _tensor,
        ("torch._utils", "_rebuild_parameter"): _first,
        ("torch._utils", "_rebuild_parameter_with_state"): _first,
    }
    for module in ("torch", "torch.storage"):
        known |= {(module, name): _Kind(dtype) for name, dtype in _DTYPES.items()}
    # Made anew for each file, so that a file cannot change what the next one finds.
    return HarmlessUnpickler(
        _Bounded(file), {key: functools.partial(v) if callable(v) else v for key, v in known.items()}, storage
    )


def _tensor(storage: _Storage, offset: int, size: Any, strides: Any, *_: Any) -> _Tensor:
    if not isinstance(storage, _Storage):
        raise NoWeightsError("it holds a tensor without numbers")
    return _Tensor(storage, int(offset), tuple(map(int, size)), tuple(map(int, strides)))


def _empty(*_: Any) -> dict[Any, Any]:
    return collections.OrderedDict()


def _first(value: Any, *_: Any) -> Any:
    return value


def _weights(tree: Any) -> dict[str, np.ndarray]:
    """Returns the arrays of a checkpoint: those that it holds by name, or those of one of its entries."""
    if isinstance(tree, Nothing):
        raise NoWeightsError("it holds an object of a program, not weights by name; save its state_dict() instead")
    found: dict[str, _Tensor] = {}
    for entry in [*(tree.get(key) for key in _KEYS), tree] if isinstance(tree, dict) else []:
        found = found or _named_tensors(entry)
    if not found:
        keys = [key[:40] for key in tree if isinstance(key, str)] if isinstance(tree, dict) else []
        raise NoWeightsError(f"it holds no weights by name (its entries: {', '.join(keys[:5]) or 'none'})")
    return {name: tensor.array() for name, tensor in found.items()}


def _named_tensors(entry: Any) -> dict[str, _Tensor]:
    if not isinstance(entry, Mapping):
        return {}
    return {name: value for name, value in entry.items() if isinstance(name, str) and isinstance(value, _Tensor)}
