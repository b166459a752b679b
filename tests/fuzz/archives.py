"""Damages zip archives and the arrays of NumPy in them, as programs that attack readers do."""

import io
import random
import struct
import zipfile

import numpy as np

from tests.fuzz.mutations import mutate_bytes

_NAMES = ("../../../outside.txt", "/tmp/outside.txt", "a/../../b", "", "x\0y", "\x1b[31m", "config.json", "a" * 3000)


def parts_of(content: bytes) -> dict[str, bytes]:
    """Returns the members of an archive by name."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def archive_of(parts: list[tuple[str, bytes]], compressed: frozenset[int] = frozenset()) -> bytes:
    """Makes an archive of members, of which some are compressed."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_STORED) as archive:
        for number, (name, data) in enumerate(parts):
            info = zipfile.ZipInfo(name or " ")
            info.compress_type = zipfile.ZIP_DEFLATED if number in compressed else zipfile.ZIP_STORED
            archive.writestr(info, data)
    return content.getvalue()


def mutate_archive(content: bytes, chance: random.Random) -> tuple[bytes, str]:
    """Damages an archive: its bytes, its members, or what it says of them."""
    kind = chance.choice(["bytes", "bytes", "member", "name", "twice", "lack", "pack", "bomb", "headers", "headers"])
    if kind == "bytes":
        return mutate_bytes(content, chance)
    parts = list(parts_of(content).items())
    at = chance.randrange(len(parts))
    name, data = parts[at]
    packed: frozenset[int] = frozenset()
    if kind == "member":
        parts[at] = name, mutate_bytes(data, chance)[0]
    elif kind == "name":
        parts[at] = chance.choice(_NAMES), data
    elif kind == "twice":
        parts.append((name, mutate_bytes(data, chance)[0]))
    elif kind == "lack":
        del parts[at]
    elif kind == "pack":
        packed = frozenset([at])
    elif kind == "bomb":
        parts[at], packed = (name, data + bytes(chance.choice([10, 300]) << 20)), frozenset([at])
    made = bytearray(archive_of(parts, packed))
    if kind == "headers":  # the fields of the directory: version, flags, method, sizes, offset
        places = [i for i in range(len(made)) if made[i : i + 4] in (b"PK\1\2", b"PK\3\4", b"PK\5\6")]
        place = chance.choice(places) + chance.choice([4, 6, 8, 10, 16, 20, 24, 28, 30, 32, 42])
        form = chance.choice(["<H", "<I"])
        value = chance.choice([0, 1, 8, 9, 12, 99, 0xFFFF, 0xFFFFFFFF, 1 << 30, len(made)])
        made[place : place + struct.calcsize(form)] = struct.pack(
            form, value & (0xFFFF if form == "<H" else 0xFFFFFFFF)
        )
    return bytes(made), f"{kind} of {name[:40]}"


def npy_bytes(array: np.ndarray) -> bytes:
    """Returns an array as a file of NumPy."""
    content = io.BytesIO()
    np.save(content, array)
    return content.getvalue()


def mutate_npy(content: bytes, chance: random.Random) -> tuple[bytes, str]:
    """Gives an array of NumPy another header: shapes and types that the file does not hold, or no header at all."""
    array = np.load(io.BytesIO(content))
    shapes = ["(1000000000000,)", "(4000000000,)", "(-1,)", "()", "(0,)", "(3, 10**9)", "(2, 2)", "(True,)", "(1.5,)"]
    shapes += ["(" + "1, " * 64 + ")", "-" * 5000 + "1", "(" * 300, "(99999999999999999999,)", f"({array.size},)"]
    types = ["'|O'", "'<f8'", "'|V1000000000'", "'<U1000000'", "[('a', '|O')]", "'x'", "'|S0'", "'<M8[s]'", "None"]
    types += [repr(array.dtype.str)] * 5
    descr, shape = chance.choice(types), chance.choice([*shapes, repr(array.shape)])
    order = chance.choice(["False", "False", "False", "True", "2"])
    header = f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}"
    if chance.random() < 0.1:
        header += " " * chance.choice([100, 20_000, 60_000])
    encoded = header.encode() + b"\n"
    version = chance.choice([1, 1, 1, 2, 3, 9])
    length = struct.pack("<H" if version == 1 else "<I", len(encoded) & 0xFFFF)
    data = array.tobytes()
    if "O'" in descr:
        data = b"\x80\x04cos\nsystem\n(S'true'\ntR."
    return b"\x93NUMPY" + bytes(
        [version, 0]
    ) + length + encoded + data, f"header {descr} {shape[:40]} {order} {version}"
