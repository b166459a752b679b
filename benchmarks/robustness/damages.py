"""Damages files of a run, as disks, programs and people do. Each damage follows from its seed."""

import json
import os
import pathlib
import random
import shutil
from collections.abc import Callable
from typing import Any

Damage = Callable[[pathlib.Path, random.Random], None]

TEXTS = (
    b"",
    b"[]",
    b"5",
    b"{}",
    b"null",
    b'"text"',
    b"\xff\xfe\x00x",
    b"[" * 100_000,
    b"NaN",
    b"\0" * 4096,
    b"[1]\n[2]\n",
)
OTHERS: tuple[Any, ...] = (
    None,
    [],
    {},
    "text",
    -1,
    1.5,
    True,
    [1],
    {"a": 1},
    ["a"],
    float("nan"),
    float("inf"),
    10**400,
    "",
)


def truncate(path: pathlib.Path, chance: random.Random) -> None:
    """Cuts a file short."""
    os.truncate(path, chance.randrange(max(1, path.stat().st_size)))


def flip(path: pathlib.Path, chance: random.Random) -> None:
    """Flips one to eight bits of a file."""
    content = bytearray(path.read_bytes())
    for _ in range(chance.randint(1, 8) if content else 0):
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    path.write_bytes(content)


def blank(path: pathlib.Path, chance: random.Random) -> None:
    """Sets up to 2,000 bytes of a file to zero."""
    content = bytearray(path.read_bytes())
    start, length = chance.randrange(max(1, len(content))), chance.randint(1, 2000)
    content[start : start + length] = bytes(len(content[start : start + length]))
    path.write_bytes(content)


def append(path: pathlib.Path, chance: random.Random) -> None:
    """Adds bytes at the end of a file."""
    with path.open("ab") as file:
        file.write(chance.randbytes(chance.randint(1, 100)))


def replace(path: pathlib.Path, chance: random.Random) -> None:
    """Replaces the content of a file."""
    path.write_bytes(chance.choice(TEXTS))


def folder(path: pathlib.Path, chance: random.Random) -> None:
    """Puts a folder in a file's place, empty or with a file in it."""
    path.unlink()
    path.mkdir()
    if chance.random() < 0.5:
        (path / "x").write_text("x")


def pipe(path: pathlib.Path, chance: random.Random) -> None:
    """Puts a pipe in a file's place, at which a reader waits forever."""
    path.unlink()
    os.mkfifo(path)


def link(path: pathlib.Path, chance: random.Random) -> None:
    """Puts a symbolic link in a file's place: to nothing, to itself, to a folder, or to a device without end."""
    path.unlink()
    path.symlink_to(chance.choice(["nowhere", path.name, "/", "/dev/zero", "/dev/full", "..", "/dev/null"]))


def delete(path: pathlib.Path, chance: random.Random) -> None:
    """Deletes a file."""
    path.unlink()


def delete_folder(path: pathlib.Path, chance: random.Random) -> None:
    """Deletes the folder of a file, or puts a file in its place."""
    shutil.rmtree(path.parent)
    if chance.random() < 0.5:
        path.parent.write_text("x")


def swap(path: pathlib.Path, chance: random.Random) -> None:
    """Swaps a file with another one of its folder, or with one that has its ending."""
    beside = [p for p in path.parent.iterdir() if p.is_file() and p != path]
    if not beside:
        return
    other, aside = chance.choice(sorted(beside)), path.with_name("aside")
    path.rename(aside)
    other.rename(path)
    aside.rename(other)


def swap_checkpoints(path: pathlib.Path, chance: random.Random) -> None:
    """Swaps all files of two checkpoints."""
    stems = sorted({p.name.partition(".")[0] for p in path.parent.iterdir()})
    one, two = chance.sample(stems, 2) if len(stems) > 1 else (stems[0], stems[0])
    files = {p: p.name.replace(one, two, 1) for p in path.parent.glob(f"{one}.*")}
    files |= {p: p.name.replace(two, one, 1) for p in path.parent.glob(f"{two}.*")}
    contents = {p.parent / name: p.read_bytes() for p, name in files.items()}
    for place, content in contents.items():
        place.write_bytes(content)


def edit_json(path: pathlib.Path, chance: random.Random) -> None:
    """Takes away a value of a JSON file, or gives it a value of another type."""
    is_lines = path.suffix == ".jsonl"
    parts = [json.loads(text) for text in path.read_text().splitlines()] if is_lines else json.loads(path.read_text())
    places = list(_places(parts))
    if not places:
        return
    holder, key = chance.choice(places)
    if chance.random() < 0.3:
        del holder[key]
    else:
        holder[key] = chance.choice([other for other in OTHERS if type(other) is not type(holder[key])])
    path.write_text("".join(json.dumps(p) + "\n" for p in parts) if is_lines else json.dumps(parts))


def _places(value: Any) -> Any:
    """Yields each place of a JSON value, as its holder and its key."""
    for key, inner in list(value.items()) if isinstance(value, dict) else list(enumerate(value)):
        yield value, key
        if isinstance(inner, dict | list):
            yield from _places(inner)


OF_ANY_FILE: tuple[Damage, ...] = (
    truncate,
    flip,
    blank,
    append,
    replace,
    folder,
    pipe,
    link,
    delete,
    delete_folder,
    swap,
)


def possible(path: pathlib.Path) -> tuple[Damage, ...]:
    """Returns the damages that a file can have."""
    if path.suffix in (".json", ".jsonl"):
        return (*OF_ANY_FILE, *[edit_json] * 8)
    return (*OF_ANY_FILE, *[swap_checkpoints] * 2) if path.parent.name == "checkpoints" else OF_ANY_FILE
