"""What is found out about a data set once, and kept."""

import os
import zipfile

import numpy as np
import pytest

from simsiam_tf.config.data import DataConfig
from simsiam_tf.data import index as index_module
from simsiam_tf.data.index import kept, packed, unpacked

ARRAYS = {"where": np.arange(6).reshape(3, 2), "names": packed(["a", "é\udce9", "b c"])}


class Making:
    """Makes the arrays, and counts how often."""

    count = 0

    def __call__(self):
        self.count += 1
        return ARRAYS


@pytest.fixture
def make():
    return Making()


@pytest.fixture
def index(tmp_path, make, monkeypatch):
    """Returns a function that asks for the index of a data set."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    data = tmp_path / "data"
    data.mkdir()

    def ask(stamp="as it is", name="train", **settings):
        found = kept(
            name, data, DataConfig(**settings), {"stamp": stamp}, make, lambda arrays: arrays["where"].shape == (3, 2)
        )
        np.testing.assert_array_equal(found["where"], ARRAYS["where"])
        assert unpacked(found["names"]) == ["a", "é\udce9", "b c"]
        return found

    ask.folder = data
    return ask


def test_an_index_is_made_once(index, make):
    for _ in range(3):
        index()
    assert make.count == 1
    index(name="test")
    assert make.count == 2
    assert sorted(path.name for path in index.folder.iterdir()) == [".simsiam_tf-test.npz", ".simsiam_tf-train.npz"]


def test_an_index_of_changed_data_is_made_again(index, make):
    index()
    index(stamp="changed")
    assert make.count == 2
    index(stamp="changed")
    assert make.count == 2


def with_header(path, header):
    """Gives an array of an index another header."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    parts["where.npy"] = b"\x93NUMPY\1\0" + len(header).to_bytes(2, "little") + header + bytes(48)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)


@pytest.mark.parametrize(
    "header",
    [
        b"{'descr': '<i8', 'fortran_order': False, 'shape': (4000000000, 3), }\n",
        b"{'descr': '<U0', 'fortran_order': False, 'shape': (1000000000000,), }\n",
        b"{'descr': '|O', 'fortran_order': False, 'shape': (6,), }\n",
        b"{'descr': '<i8', 'fortran_order': False, 'shape': (-6,), }\n",
        b"{'descr': '<i8', 'fortran_order': False, 'shape': " + b"-" * 5000 + b"1, }\n",
        b"(" * 300 + b"\n",
    ],
)
def test_an_array_that_is_not_what_it_says_is_damage(index, make, header):
    index()
    with_header(index.folder / ".simsiam_tf-train.npz", header)
    index()
    assert make.count == 2


def test_a_packed_index_is_damage_however_small_it_is(index, make):
    index()
    np.savez_compressed(index.folder / ".simsiam_tf-train.npz", where=np.zeros(10**8, np.uint8))
    index()
    assert make.count == 2


@pytest.mark.parametrize("damage", ["cut", "bit", "other", "folder", "pipe"])
def test_a_damaged_index_is_made_again(index, make, damage):
    index()
    (path,) = index.folder.iterdir()
    content = bytearray(path.read_bytes())
    if damage == "cut":
        path.write_bytes(content[: len(content) // 2])
    elif damage == "bit":
        content[content.index(b"NUMPY") + 140] ^= 1  # in the values of the first array
        path.write_bytes(content)
    else:
        path.unlink()
        {"other": lambda: path.write_text("{}"), "folder": path.mkdir, "pipe": lambda: os.mkfifo(path)}[damage]()
    index()
    assert make.count == 2


def test_rebuild_makes_it_again_once_in_a_process(index, make, monkeypatch):
    index()
    monkeypatch.setattr(index_module, "_rebuilt", set())  # as in another process
    for _ in range(2):
        index(index="rebuild")
    assert make.count == 2


def test_an_index_lies_elsewhere_where_data_cannot_be_written_or_a_folder_is_named(index, make, tmp_path):
    (index.folder / ".simsiam_tf-train.npz").mkdir()
    for _ in range(2):
        index()
    assert make.count == 1
    assert list((tmp_path / "home" / ".cache" / "simsiam_tf").rglob("train.npz"))
    for _ in range(2):
        index(index_dir=str(tmp_path / "indices"))
    assert make.count == 2
    assert list((tmp_path / "indices").rglob("train.npz"))


def test_without_any_place_the_data_are_read_each_time(index, make, tmp_path):
    (tmp_path / "file").write_text("")
    for _ in range(2):
        index(index_dir=str(tmp_path / "file"))
    assert make.count == 2
