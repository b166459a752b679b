"""Weights in files of PyTorch: zip archives, and the format before PyTorch 1.6."""

import pathlib
import pickle
import pickletools
import random
import struct

import numpy as np

from tests.fuzz.archives import archive_of, mutate_archive, parts_of
from tests.fuzz.mutations import INTERESTING, mutate_bytes
from tests.fuzz.target import Target
from tests.fuzz.targets.weights import LAYOUTS, arrays_of_a_network, in_layout, open_and_check
from tests.interop.test_pth import Global, Storage, pickled

# Names that files have called, and names that the reader knows.
_NAMES = ("os system", "posix system", "builtins eval", "builtins exec", "builtins getattr", "subprocess Popen")
_NAMES += ("builtins __import__", "numpy.core.multiarray _reconstruct", "copyreg _reconstructor", "torch.nn Linear")
_NAMES += ("torch FloatStorage", "torch._utils _rebuild_tensor_v2", "torch Size", "collections OrderedDict")
_NAMES += ("torch._utils _rebuild_parameter", "operator attrgetter", "functools partial", "builtins bytearray")


def _gadgets() -> list[bytes]:
    """Returns opcodes to put into a pickle. Most leave a value on the stack, or change the last one."""
    named = [b"c" + name.replace(" ", "\n").encode() + b"\n" for name in _NAMES]
    text = pickle.BINUNICODE + struct.pack("<I", 4) + b"true"
    found = [name + text + pickle.TUPLE1 + pickle.REDUCE for name in named]
    found += [name + pickle.MEMOIZE + pickle.BINGET + b"\0" for name in named]
    found += [name + pickle.EMPTY_TUPLE + pickle.NEWOBJ for name in named]
    for name in named:  # p, whose function becomes p
        itself = pickle.EMPTY_TUPLE + pickle.EMPTY_DICT + pickle.NONE
        found.append(name + pickle.DUP + pickle.MARK + name + itself + pickle.TUPLE + pickle.BUILD)
        recursive = (
            pickle.BINPUT + b"\xff" + pickle.MARK + pickle.BINGET + b"\xff" + itself + pickle.TUPLE + pickle.BUILD
        )
        found.append(name + recursive + pickle.EMPTY_TUPLE + pickle.REDUCE)
        found.append(name + pickle.EMPTY_DICT + pickle.BUILD)
    found += [pickle.LONG4 + struct.pack("<i", 2**31 - 1), pickle.LONG1 + b"\xff" + b"\x7f" * 255]
    found += [pickle.BINBYTES8 + b"\xff" * 7 + b"\x7f", pickle.BINUNICODE8 + struct.pack("<Q", 2**40)]
    found += [pickle.BYTEARRAY8 + struct.pack("<Q", 2**36), pickle.FRAME + struct.pack("<Q", 2**40)]
    found += [pickle.DUP * 50, pickle.POP, pickle.MARK, pickle.TUPLE, pickle.EMPTY_LIST + pickle.DUP + pickle.APPEND]
    found += [pickle.LONG_BINPUT + b"\xff\xff\xff\x7f", pickle.EXT1 + b"\1", pickle.PERSID + b"x\n", pickle.BINPERSID]
    found += [
        pickle.EMPTY_TUPLE + (pickle.DUP + pickle.TUPLE2) * 60,
        pickle.MARK + pickle.EMPTY_LIST * 30_000 + pickle.LIST,
    ]
    found += [pickle.MARK + (pickle.LONG1 + b"\x08" + b"\x7f" * 8) * 40_000 + pickle.TUPLE, b"(" * 50_000]
    found += [pickle.EMPTY_TUPLE + pickle.TUPLE1 * 100_000, pickle.INT + b"1" * 5000 + b"\n", pickle.FLOAT + b"nan\n"]
    return [*found, pickle.STOP, pickle.BUILD, pickle.REDUCE, pickle.NONE, pickle.SETITEM, pickle.NEWTRUE]


class TorchFiles(Target):
    """Reads weights of each layout from files of torch.save."""

    name = "torch"

    def make(self, folder: pathlib.Path) -> None:
        from simsiam_tf.interop.pth_writing import pth_bytes

        arrays = arrays_of_a_network()
        np.savez(folder / "arrays.npz", **arrays)
        for layout in LAYOUTS:
            named = in_layout(arrays, layout)
            (folder / f"{layout}.pth").write_bytes(pth_bytes({"state_dict": named}))
        (folder / "legacy.tar").write_bytes(_legacy(in_layout(arrays, "authors")))

    def load(self, folder: pathlib.Path) -> None:
        import simsiam_tf.training.given_weights  # noqa: F401

        self._seeds = {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.suffix != ".npz"}
        with np.load(folder / "arrays.npz") as held:
            self._arrays = dict(held)
        self._gadgets, self._is_whole = _gadgets(), False

    def write(self, folder: pathlib.Path, chance: random.Random) -> str:
        name, content = chance.choice([*self._seeds.items(), ("legacy.tar", self._seeds["legacy.tar"])])
        kind = chance.choice(["whole", "bytes", "archive", "archive", "pickle", "pickle", "pickle", "pickle"])
        self._is_whole, done = kind == "whole", ""
        if kind == "bytes" or (kind == "archive" and name == "legacy.tar"):
            content, done = mutate_bytes(content, chance)
        elif kind == "archive":
            content, done = mutate_archive(content, chance)
        elif kind == "pickle" and name == "legacy.tar":
            content, done = self._in_pickle(content, chance)
        elif kind == "pickle":
            parts = parts_of(content)
            key = next(part for part in parts if part.endswith("data.pkl"))
            parts[key], done = self._in_pickle(parts[key], chance)
            content = archive_of(list(parts.items()))
        (folder / f"x{pathlib.Path(name).suffix}").write_bytes(content)
        return f"{name}: {kind} {done}"

    def _in_pickle(self, content: bytes, chance: random.Random) -> tuple[bytes, str]:
        """Edits a pickle between its opcodes."""
        places = _opcodes(content)
        data, done = content, []
        for at in sorted(chance.sample(places, min(chance.choice([1, 1, 1, 2]), len(places))), reverse=True):
            end = min((place for place in places if place > at), default=len(content))
            edit = chance.choice(["put", "put", "put", "take", "twice", "set", "move"])
            if edit == "put":
                number = chance.randrange(len(self._gadgets))
                data = data[:at] + self._gadgets[number] + data[at:]
                edit = f"gadget {number}"
            elif edit == "take":
                data = data[:at] + data[end:]
            elif edit == "twice":
                data = data[:end] + data[at:end] * chance.choice([1, 3]) + data[end:]
            elif edit == "set":
                value = chance.choice(INTERESTING)
                data = data[: at + 1] + value + data[at + 1 + len(value) :]
            else:
                other = chance.choice(places)
                data = data[:at] + data[other : other + end - at] + data[at:]
            done.append(f"{edit} at {at}")
        return data, ", ".join(done)

    def read(self, folder: pathlib.Path) -> str:
        (file,) = folder.iterdir()
        return open_and_check(file, self._arrays if self._is_whole else None)


def _opcodes(content: bytes) -> list[int]:
    """Returns the places of the opcodes of the pickles at the beginning of a file."""
    places, start = [], 0
    try:
        while content[start : start + 1] == b"\x80":
            end = start
            for opcode, _, at in pickletools.genops(content[start:]):
                places.append(start + at)
                end = start + at + 1
                if opcode.name == "STOP":
                    break
            start = end
    except ValueError:
        pass
    return places or [0]


def _legacy(arrays: dict[str, np.ndarray]) -> bytes:
    """Returns weights in the format before PyTorch 1.6."""
    arrays = {name: np.ascontiguousarray(array, np.float32) for name, array in arrays.items() if array.ndim}
    tree, contents = {}, b""
    for number, (name, array) in enumerate(arrays.items()):
        storage = Storage("storage", Global("torch.FloatStorage"), str(number), "cpu", array.size, None)
        strides = tuple(step // 4 for step in array.strides)
        arguments = storage, 0, array.shape, strides, False, None
        tree[name] = Global("torch._utils._rebuild_tensor_v2", *arguments)
        contents += array.size.to_bytes(8, "little") + array.tobytes()
    keys = [str(number) for number in range(len(arrays))]
    parts = [0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}, {"state_dict": tree}, keys]
    return b"".join(map(pickled, parts)) + contents
