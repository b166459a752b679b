"""The index of a large folder of images."""

import json
import os
import pathlib
import random
import tempfile

import numpy as np

from tests.fuzz.archives import archive_of, mutate_archive, mutate_npy, npy_bytes, parts_of
from tests.fuzz.mutations import HOSTILE, mutate_bytes, mutate_value
from tests.fuzz.target import Target, WrongError

_NAMES = ("a/1.png", "a/x/2.png", "b/3.png", "b/notes.txt", "4.jpg")
_TIME = 10**18


class FolderIndex(Target):
    """Opens a folder beside which an index lies."""

    name = "index"

    def make(self, folder: pathlib.Path) -> None:
        from simsiam_tf.config.data import DataConfig
        from simsiam_tf.data import folder_index

        folder_index._LEAST_IMAGES = 3
        with tempfile.TemporaryDirectory() as place:
            root = pathlib.Path(place) / "data"
            _fill(root)
            folder_index.read_folder(str(root), DataConfig(dataset="folder", data_dir=str(root)))
            (folder / "index.npz").write_bytes((root / ".simsiam_tf-files.npz").read_bytes())

    def load(self, folder: pathlib.Path) -> None:
        from simsiam_tf.config.data import DataConfig
        from simsiam_tf.data import folder_index

        folder_index._LEAST_IMAGES = 3
        self._config, self._reader = DataConfig, folder_index
        self._content = (folder / "index.npz").read_bytes()

    def write(self, folder: pathlib.Path, chance: random.Random) -> str:
        root = folder / "data"
        content, done = self._mutated(chance)
        _fill(root, content)
        return done

    def _mutated(self, chance: random.Random) -> tuple[bytes, str]:
        kind = chance.choice(["whole", "archive", "archive", "npy", "names", "names", "stamp", "numbers"])
        if kind == "whole":
            return self._content, kind
        if kind == "archive":
            return mutate_archive(self._content, chance)
        parts = parts_of(self._content)
        name = {"names": "names.npy", "stamp": "stamp.npy"}.get(kind, chance.choice(sorted(parts)))
        array, done = np.load(_file(parts[name])), kind
        if kind == "npy":
            parts[name], done = mutate_npy(parts[name], chance)
        elif kind == "names":
            names = array.tobytes().decode().split("\0")
            changed = [*names[1:], chance.choice(HOSTILE)] if chance.random() < 0.7 else names[:-1]
            parts[name] = npy_bytes(np.frombuffer("\0".join(changed).encode("utf-8", "surrogatepass"), np.uint8))
        elif kind == "stamp":
            text, done = mutate_value(json.loads(array.tobytes()), chance)
            parts[name] = npy_bytes(np.frombuffer(json.dumps(text).encode(), np.uint8))
        else:
            changed = mutate_bytes(array.tobytes(), chance)[0]
            flat = np.frombuffer(changed[: len(changed) // array.itemsize * array.itemsize], array.dtype)
            parts[name] = npy_bytes(flat.reshape(chance.choice([(-1,), (1, -1)]) if flat.size else (0,)))
        return archive_of(list(parts.items())), f"{name}: {done}"

    def read(self, folder: pathlib.Path) -> str:
        root = folder / "data"
        before = (root / ".simsiam_tf-files.npz").read_bytes()
        config = self._config(dataset="folder", data_dir=str(root), index_dir="")
        listing = self._reader.read_folder(str(root), config)
        for name in listing.names:
            path = os.path.normpath(f"{root}/{name}")
            if not path.startswith(f"{root}/") or "\0" in name:
                raise WrongError(f"an image outside of the folder: {name!r}")
        if listing.sizes is None or len(listing.sizes) != len(listing.names):
            raise WrongError("there are not as many sizes as names")
        listing.left_out.items()
        return "read" if before == (root / ".simsiam_tf-files.npz").read_bytes() else "read anew"


def _fill(root: pathlib.Path, content: bytes | None = None) -> None:
    for name in _NAMES:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x" * len(name))
    if content is not None:
        (root / ".simsiam_tf-files.npz").write_bytes(content)
    for folder in ("a", "a/x", "b"):
        os.utime(root / folder, ns=(_TIME, _TIME))


def _file(content: bytes):
    import io

    return io.BytesIO(content)
