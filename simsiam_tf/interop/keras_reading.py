"""Loads models that Keras saved, if all that the file holds is numbers and parts of Keras or of this package.

A file of Keras may come from anyone. Keras' own safe mode refuses Python code. Here the description of the network may
name nothing but layers and their parts, the file of weights may hold nothing but numbers that are in it, and a network
that is larger than the file is not made.
"""

import json
import math
import pathlib
import zipfile
from typing import IO, Any

import h5py
import keras

from simsiam_tf.files import plain_path, printable
from simsiam_tf.interop.harmless_pickle import NoWeightsError

# The parts of Keras, and of its inner packages, whose classes and functions a network is made of.
_PARTS = frozenset(
    ("layers", "models", "initializers", "regularizers", "constraints", "optimizers", "losses", "metrics")
) | frozenset(("activations", "ops", "random", "dtype_policies", "quantizers"))
# Layers that run code, or read other files.
_REFUSED = frozenset(
    ("Lambda", "TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer", "StringLookup", "TextVectorization")
) | frozenset(("IntegerLookup", "__lambda__", "__typespec__", "__tensor__", "__numpy__", "Pipeline"))
# The greatest length of the description in bytes; that of a large network has 1 MiB.
_LONGEST_DESCRIPTION = 64 << 20


def is_keras(content: IO[bytes]) -> bool:
    """Returns whether a file is an archive with the parts that Keras writes. The file is at its beginning afterwards.

    Args:
        content: the file, open for reading.
    """
    try:
        with zipfile.ZipFile(content) as archive:
            return {"config.json", "model.weights.h5"} <= set(archive.namelist())
    except (zipfile.BadZipFile, ValueError, NotImplementedError):
        return False
    finally:
        content.seek(0)


def read_keras(file: pathlib.Path, content: IO[bytes]) -> keras.Model:
    """Loads a model that Keras saved, if all its parts are of Keras or of this package.

    Args:
        file: the path of the file, on this machine.
        content: the same file, open for reading.

    Raises:
        NoWeightsError: if it holds other parts, is damaged, or holds no model.
        OSError: if the disk fails.
    """
    try:
        described = _description(content, file.stat().st_size)
        strange = sorted(set(_strangers(described)))
    except NoWeightsError:
        raise
    except (RecursionError, ValueError, KeyError, NotImplementedError, RuntimeError, zipfile.BadZipFile) as error:
        raise NoWeightsError("its config.json is damaged") from error
    if strange:
        raise NoWeightsError(
            "it holds parts that are neither of Keras nor of this package, or that run code "
            f"({', '.join(printable(name[:80]) for name in strange[:3])})"
        )
    try:
        _check_numbers(content)
        _check_size(described, file.stat().st_size)
        model = keras.saving.load_model(plain_path(file.parent) / file.name, compile=False, safe_mode=True)
    except (MemoryError, NoWeightsError):
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None:  # of the disk; HDF5's own errors have no number
            raise
        reason = printable(str(error).partition("\n")[0][:200])
        raise NoWeightsError(f"Keras cannot load it ({type(error).__name__}: {reason})") from error
    if not isinstance(model, keras.Model):
        raise NoWeightsError("it holds no model")
    return model


def _description(content: IO[bytes], size: int) -> Any:
    """Reads the description of the model, once the archive is known to hold nothing packed, and each part once."""
    with zipfile.ZipFile(content) as archive:
        entries = archive.infolist()
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries) or (
            sum(entry.file_size for entry in entries) > size
        ):
            raise NoWeightsError("its parts are compressed, or larger than the file, which Keras does not do")
        if len({entry.filename for entry in entries}) < len(entries):
            raise NoWeightsError("it holds two parts of one name")
        if archive.getinfo("config.json").file_size > _LONGEST_DESCRIPTION:
            raise NoWeightsError("its config.json is too long")
        return json.loads(archive.read("config.json"))


def _strangers(part: Any) -> list[str]:
    """Lists the classes in a description of Keras that come from elsewhere, or that are refused."""
    if isinstance(part, list):
        return [name for item in part for name in _strangers(item)]
    if not isinstance(part, dict):
        return []
    found = [name for item in part.values() for name in _strangers(item)]
    if "class_name" in part and (part.get("module") is not None or part["class_name"] in _REFUSED):
        module, name = str(part.get("module")), str(part["class_name"])
        return found if _is_known(module, name) else [*found, f"{module}.{name}"]
    return found


def _is_known(module: str, name: str) -> bool:
    if name in _REFUSED:
        return False
    package, _, rest = module.partition(".")
    if package == "keras":
        return rest.removeprefix("src.").partition(".")[0] in {"", *_PARTS}
    return package == "simsiam_tf" or (module == "builtins" and name == "function")


def _check_numbers(content: IO[bytes]) -> None:
    """Checks that the file of weights holds numbers alone, all of them in itself.

    HDF5 can hold links to other files, numbers that lie in other files, and numbers that are packed or that no byte
    stands for, which take any memory.

    Raises:
        NoWeightsError: if it holds anything else.
    """
    with zipfile.ZipFile(content) as archive, archive.open("model.weights.h5") as part, h5py.File(part, "r") as weights:
        kinds: set[int] = set()
        weights.id.links.visit(lambda _, link: kinds.add(link.type), info=True)
        sound: list[bool] = []
        weights.visititems(lambda _, item: sound.append(_is_sound(item)))
        if kinds - {h5py.h5l.TYPE_HARD} or not all(sound):
            raise NoWeightsError("its weights hold links, or numbers that are packed or lie elsewhere")


def _is_sound(item: Any) -> bool:
    if not isinstance(item, h5py.Dataset):
        return True
    return not item.external and not item.is_virtual and item.id.get_storage_size() == item.nbytes


def _check_size(described: Any, size: int) -> None:
    """Checks that the file is as large as the numbers of the network that it describes, before the network is made.

    Raises:
        NoWeightsError: if it is not.
    """
    with keras.StatelessScope():  # in which Keras notes the shapes of variables, and makes none
        model = keras.saving.deserialize_keras_object(described, safe_mode=True)
        needed = sum(map(_bytes, getattr(model, "variables", ())))
    if needed > size:
        raise NoWeightsError(f"its network has {needed:,} bytes of numbers, and the file {size:,}")


def _bytes(variable: Any) -> int:
    """Returns how many bytes the numbers of a variable take in a file at least."""
    bits = "".join(c for c in str(variable.dtype) if c.isdigit()) or "8"
    return math.prod(variable.shape) * max(1, int(bits) // 8)
