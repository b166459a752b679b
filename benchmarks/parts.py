"""Carries folders of files to another machine and back in parts of a limited size, with checksums. It needs only NumPy.

python benchmarks/parts.py pack --out=P --part_mib=48 NAME=FOLDER ...  # P/1, P/2, ...: a part and the index in each
python benchmarks/parts.py pack --out=P --flat ...                     # P: all parts and one index
python benchmarks/parts.py take --into=PLACE P/1 [P/2 ...]             # PLACE/NAME, as soon as all parts are there

`pack` compresses without loss, images (`*images.npy`) by their differences, and stores equal files once. `take` keeps
the parts in PLACE/parts and says which are missing.
"""

import argparse
import hashlib
import io
import json
import pathlib
import shutil
import sys
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np

MIB = 2**20
# The level of zlib: on CIFAR-10 higher ones save less than 1 %.
_LEVEL = 6


def sha256(data: bytes) -> str:
    """Computes the SHA-256 of bytes, in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def differences(images: np.ndarray) -> bytes:
    """Returns images `[N, H, W, 3] uint8` as differences to green and to the left, which compress well."""
    planes = images.transpose(3, 0, 1, 2).copy()
    planes[0] -= planes[1]
    planes[2] -= planes[1]
    planes[..., 1:] -= planes[..., :-1].copy()
    return planes.tobytes()


def of_differences(data: bytes, shape: Sequence[int]) -> np.ndarray:
    """Returns the images of which `differences` were made, given their shape `[N, H, W, 3]`."""
    planes = np.frombuffer(data, np.uint8).reshape(shape[3], *shape[:3])
    planes = np.cumsum(planes, axis=-1, dtype=np.uint8)
    planes[0] += planes[1]
    planes[2] += planes[1]
    return np.ascontiguousarray(planes.transpose(1, 2, 3, 0))


def pack(folders: dict[str, pathlib.Path], out: pathlib.Path, part_bytes: int, flat: bool = False) -> int:
    """Writes the files of some folders as numbered parts; returns the number of parts.

    Args:
        folders: the folders, whose files directly inside are packed, by the name they get on the other machine.
        out: the folder of the parts, which is emptied first.
        part_bytes: the greatest size of a part.
        flat: whether all parts are in one folder, and not each in one of its own.
    """
    stream, files, stored = io.BytesIO(), [], {}
    for name, folder in folders.items():
        for path in sorted(path for path in folder.iterdir() if path.is_file()):
            content = path.read_bytes()
            digest = sha256(content)
            entry: dict[str, Any] = {"path": f"{name}/{path.name}", "sha256": digest}
            if digest not in stored:
                stored[digest] = _stored(path, content, stream)
            files.append({**entry, **stored[digest]})
    data = stream.getbuffer()
    cuts = [data[i : i + part_bytes] for i in range(0, max(len(data), 1), part_bytes)]
    index = {"files": files, "parts": [{"sha256": sha256(cut), "bytes": len(cut)} for cut in cuts]}
    shutil.rmtree(out, ignore_errors=True)
    for number, cut in enumerate(cuts, start=1):
        folder = out if flat else out / str(number)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"part-{number}").write_bytes(cut)
        (folder / "index.json").write_text(json.dumps(index))
    return len(cuts)


def _stored(path, content, stream):
    """Adds a file's content to the stream; returns where it is and how it is stored."""
    start, shape = stream.tell(), None
    if path.name.endswith("images.npy"):
        images = np.load(path)
        shape, content = list(images.shape), differences(images)
    content = zlib.compress(content, _LEVEL)
    stream.write(content)
    return {"start": start, "length": len(content), "images": shape}


def take(sources: Sequence[pathlib.Path], place: pathlib.Path) -> list[str]:
    """Keeps parts, and writes the folders that they hold as soon as all parts are there.

    Args:
        sources: folders that hold an index and some of its parts.
        place: the folder to write into. Parts of another index in it are deleted.

    Returns:
        The numbers of the parts that are still missing.
    """
    kept = place / "parts"
    for source in sources:
        index = (source / "index.json").read_text()
        if not (kept / "index.json").exists() or (kept / "index.json").read_text() != index:
            shutil.rmtree(kept, ignore_errors=True)
            kept.mkdir(parents=True)
            (kept / "index.json").write_text(index)
        for number, part in enumerate(json.loads(index)["parts"], start=1):
            path = source / f"part-{number}"
            if path.exists():
                if sha256(path.read_bytes()) != part["sha256"]:
                    sys.exit(f"error: {path} is damaged; send it again.")
                shutil.copy(path, kept / path.name)
    missing = missing_parts(place)
    if not missing:
        _unpack(kept, place)
    return missing


def missing_parts(place: pathlib.Path) -> list[str]:
    """Returns the numbers of the parts that are not in a place yet; all of them are unknown before the first."""
    kept = place / "parts"
    if not (kept / "index.json").exists():
        return ["all"]
    count = len(json.loads((kept / "index.json").read_text())["parts"])
    return [str(number) for number in range(1, count + 1) if not (kept / f"part-{number}").exists()]


def _unpack(kept, place):
    """Writes the files that the parts hold, each checked."""
    index = json.loads((kept / "index.json").read_text())
    data = b"".join((kept / f"part-{i}").read_bytes() for i in range(1, len(index["parts"]) + 1))
    for file in index["files"]:
        content = zlib.decompress(data[file["start"] : file["start"] + file["length"]])
        if file["images"]:
            written = io.BytesIO()
            np.save(written, of_differences(content, file["images"]))
            content = written.getvalue()
        if sha256(content) != file["sha256"]:
            sys.exit(f"error: {file['path']} is damaged in the parts; pack and send them again.")
        path = place / file["path"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def main() -> None:
    """Runs the part that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("do", choices=("pack", "take"))
    parser.add_argument("folders", nargs="+", help="pack: NAME=FOLDER; take: folders with parts")
    parser.add_argument("--out", type=pathlib.Path, help="pack: the folder of the parts, emptied first")
    parser.add_argument("--flat", action="store_true", help="pack: put all parts into one folder")
    parser.add_argument("--part_mib", type=float, default=48, help="pack: the greatest size of a part, in MiB")
    parser.add_argument("--into", type=pathlib.Path, help="take: the folder to write into")
    options = parser.parse_args()
    if options.do == "pack":
        named = (folder.partition("=") for folder in options.folders)
        folders = {name: pathlib.Path(folder) for name, _, folder in named}
        print(f"Done: {pack(folders, options.out, int(options.part_mib * MIB), options.flat)} parts in {options.out}.")
        return
    missing = take([pathlib.Path(folder) for folder in options.folders], options.into)
    state = f"missing: part {', '.join(missing)}" if missing else f"all parts are in {options.into}"
    print(f"Done: {state}.")


if __name__ == "__main__":
    main()
