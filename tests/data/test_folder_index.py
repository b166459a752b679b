"""What is kept of a large folder, and when it is not believed."""

import os
import shutil
import time

import numpy as np
import pytest

from simsiam_tf.config.data import DataConfig
from simsiam_tf.data import folder_index, index
from simsiam_tf.data.dataset import DataSet
from simsiam_tf.data.folder_index import read_folder
from simsiam_tf.data.overview import identity
from simsiam_tf.data.walk import walk
from simsiam_tf.errors import UsageError

FILES = ("a/1.png", "a/x/2.png", "b/3.png", "b/notes.txt", "4.jpg", ".DS_Store", ".git/5.png")


class Walks:
    """Walks a folder, and counts how often."""

    count = 0

    def __call__(self, root):
        self.count += 1
        return walk(root)


@pytest.fixture
def walks(monkeypatch, tmp_path):
    counter = Walks()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(folder_index, "walk", counter)
    monkeypatch.setattr(folder_index, "_LEAST_IMAGES", 3)
    return counter


def age(folder):
    """Makes folders look as if they were changed long ago, each at another time."""
    for number, (path, *_) in enumerate(os.walk(folder, followlinks=True)):
        os.utime(path, (1_600_000_000 + number, 1_600_000_000 + number))


@pytest.fixture
def folder(tmp_path):
    outside = tmp_path / "outside"
    data = tmp_path / "data"
    for path in (*(data / name for name in FILES), outside / "6.png"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(len(str(path))))
    (data / "c").symlink_to(outside)
    (data / "b" / "broken.png").symlink_to("nothing")
    age(data)
    return data


def read(folder, **settings):
    found = read_folder(str(folder), DataConfig(**settings))
    return found.names, found.left_out, found.hidden, None if found.sizes is None else found.sizes.tolist()


def test_a_large_folder_is_walked_once(walks, folder, monkeypatch):
    whole, before = walk(str(folder)), set(os.listdir(folder))
    for _ in range(3):
        names, left_out, hidden, sizes = read(folder)
        assert (names, left_out, hidden) == (whole.names, whole.left_out, whole.hidden)
        known = [-1 if name == "b/broken.png" else (folder / name).stat().st_size for name in names]
        assert sizes == known
    assert walks.count == 1
    assert "c/6.png" in names
    # A folder would be a class to other programs.
    assert [(folder / name).is_file() for name in set(os.listdir(folder)) - before] == [True]
    monkeypatch.setattr(index, "_rebuilt", set())  # as in another process
    assert read(folder, index="rebuild")[0] == names
    assert walks.count == 2


def test_a_small_folder_has_no_index(walks, folder, monkeypatch):
    monkeypatch.setattr(folder_index, "_LEAST_IMAGES", 100)
    assert read(folder)[3] is None
    assert not list(folder.glob(".simsiam*"))


PLANTED = {
    "another file": lambda arrays: (
        arrays | {"names": index.packed(["../secret.png", "4.jpg"]), "sizes": np.array([1, 1])}
    ),
    "a whole path": lambda arrays: arrays | {"names": index.packed(["/etc/x.png", "4.jpg"]), "sizes": np.array([1, 1])},
    "a folder": lambda arrays: arrays | {"names": index.packed(["a/.", "4.jpg"]), "sizes": np.array([1, 1])},
    "fewer sizes": lambda arrays: arrays | {"sizes": arrays["sizes"][:-1]},
    "sizes of another type": lambda arrays: arrays | {"sizes": arrays["sizes"].astype(np.float64)},
    "no names": lambda arrays: {name: array for name, array in arrays.items() if name != "names"},
    "no times": lambda arrays: {name: array for name, array in arrays.items() if name != "times"},
    "no lists": lambda arrays: arrays | {"left_out": index.packed(["[]"])},
    "no texts": lambda arrays: arrays | {"left_out": index.packed(['[{"x": 7}, []]'])},
    "no JSON": lambda arrays: arrays | {"left_out": index.packed(["["])},
}


@pytest.mark.parametrize("plant", PLANTED.values(), ids=PLANTED)
def test_an_index_from_elsewhere_is_not_believed(walks, folder, plant):
    """It lies beside the data, and comes with them where somebody copied them."""
    whole = read(folder)
    file = folder / ".simsiam_tf-files.npz"
    with np.load(file) as held:
        arrays = plant(dict(held))
    np.savez(file, **arrays)
    assert read(folder) == whole
    assert walks.count == 2


CHANGES = {
    "added": lambda data: (data / "a/7.png").write_bytes(b"7"),
    "taken away": lambda data: (data / "b/3.png").unlink(),
    "renamed": lambda data: (data / "a/1.png").rename(data / "a/9.png"),
    "moved": lambda data: (data / "a/1.png").rename(data / "b/1.png"),
    "added beside the folders": lambda data: (data / "8.png").write_bytes(b"8"),
    "renamed beside the folders": lambda data: (data / "4.jpg").rename(data / "5.jpg"),
    "a folder added": lambda data: (data / "d").mkdir(),
    "a folder gone": lambda data: shutil.rmtree(data / "a/x"),
    "a folder renamed": lambda data: (data / "b").rename(data / "e"),
    "added behind a link": lambda data: (data.parent / "outside/7.png").write_bytes(b"7"),
    "a link elsewhere": lambda data: ((data / "c").unlink(), (data / "c").symlink_to(data.parent / "home")),
    "replaced by a folder": lambda data: ((data / "a/1.png").unlink(), (data / "a/1.png").mkdir()),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_changed_folder_is_walked_again(walks, folder, change):
    (folder.parent / "home").mkdir()
    read(folder)
    change(folder)
    names, left_out, _, _ = read(folder)
    assert walks.count == 2
    whole = walk(str(folder))
    assert (names, left_out) == (whole.names, whole.left_out)


def test_a_folder_behind_a_link_that_was_broken_is_found_later(walks, folder):
    disk = folder.parent / "outside"
    assert "c/6.png" in read(folder)[0]
    disk.rename(folder.parent / "unmounted")
    assert "c/6.png" not in read(folder)[0]
    (folder.parent / "unmounted").rename(disk)
    assert "c/6.png" in read(folder)[0]
    assert walks.count == 3


def test_a_link_that_was_left_out_may_lead_elsewhere_later(walks, folder):
    (folder / "again").symlink_to(folder / "a")
    (folder.parent / "other").mkdir()
    (folder.parent / "other" / "8.png").write_bytes(b"8")
    age(folder)
    os.utime(folder.parent / "other", (1_500_000_000, 1_500_000_000))
    assert "again/8.png" not in read(folder)[0]
    (folder / "again").unlink()
    (folder / "again").symlink_to(folder.parent / "other")
    assert "again/8.png" in read(folder)[0]


def test_a_folder_whose_time_is_set_back_after_it_was_read_is_read_again(walks, folder, monkeypatch):
    """As `rsync -a` and `tar` do with each folder that they have written."""
    held = os.stat(folder / "a").st_mtime

    def walk_meanwhile(root):
        os.utime(folder / "a", (held + 50, held + 50))
        listing = walks(root)
        (folder / "a" / "late.png").write_bytes(b"late")
        os.utime(folder / "a", (held, held))
        return listing

    monkeypatch.setattr(folder_index, "walk", walk_meanwhile)
    assert "a/late.png" not in read(folder)[0]
    monkeypatch.setattr(folder_index, "walk", walks)
    assert "a/late.png" in read(folder)[0]


def test_an_index_that_cannot_be_replaced_is_not_found_before_the_new_one(walks, folder, monkeypatch):
    read(folder)
    beside = folder / ".simsiam_tf-files.npz"
    os.utime(beside, (1_600_000_000,) * 2)
    (folder / "a/1.png").write_bytes(b"changed in its place")
    real = index.replacing

    def only_elsewhere(path):
        if path == beside:
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(index, "replacing", only_elsewhere)
    monkeypatch.setattr(index, "_rebuilt", set())  # as in another process
    for settings in ({"index": "rebuild"}, {"index": "rebuild"}, {}):
        names, _, _, sizes = read(folder, **settings)
        assert sizes[names.index("a/1.png")] == 20
    assert walks.count == 2


def test_a_folder_that_was_changed_just_now_is_not_kept(walks, folder):
    os.utime(folder / "a")
    for _ in range(2):
        read(folder)
    assert walks.count == 2
    os.utime(folder / "a", (time.time() - 10,) * 2)
    for _ in range(2):
        read(folder)
    assert walks.count == 3


def test_other_kinds_of_images_need_another_index(walks, folder, monkeypatch):
    read(folder)
    monkeypatch.setattr(folder_index, "readable_endings", lambda: frozenset((".heic",)))
    read(folder)
    assert walks.count == 2


def test_a_file_that_changed_in_its_place_is_found_when_it_is_read(walks, folder, monkeypatch):
    (folder / "b/broken.png").unlink()
    age(folder)
    config = DataConfig(dataset="folder", data_dir=str(folder), layout="flat")
    source = DataSet(config).training
    place = next(i for i in range(source.num_examples) if source.files.name(i) == "a/1.png")
    assert len(source.files.load(place)) == (folder / "a/1.png").stat().st_size
    (folder / "a/1.png").write_bytes(b"other")
    for opened in (source, DataSet(config).training):
        with pytest.raises(UsageError, match=r"--index=rebuild .* Received: 5 bytes, \d+ in the index") as failure:
            opened.files.load(place)
        with pytest.raises(UsageError, match=r"in the index, in .*a/1\.png\.$"):
            opened.files.skip(place, failure.value)
    monkeypatch.setattr(index, "_rebuilt", set())  # as in another process
    rebuilt = DataSet(DataConfig(dataset="folder", data_dir=str(folder), layout="flat", index="rebuild")).training
    assert rebuilt.files.load(place) == b"other"


@pytest.mark.parametrize("settings", [{"layout": "flat"}, {"layout": "classes"}, {"holdout": 0.3, "layout": "classes"}])
def test_a_run_knows_its_images_with_and_without_an_index(walks, folder, monkeypatch, settings):
    for name in ("a/2.png", "b/2.png", "a/5.png", "c/5.png"):
        (folder / name).write_bytes(b"more")
    age(folder)

    def identities():
        config = DataConfig(dataset="folder", data_dir=str(folder), **settings)
        data = DataSet(config)
        return identity(data), [data.training.files.name(i) for i in range(data.training.num_examples)]

    monkeypatch.setattr(folder_index, "_LEAST_IMAGES", 100)
    without = identities()
    monkeypatch.setattr(folder_index, "_LEAST_IMAGES", 3)
    assert identities() == identities() == without
    assert walks.count == 2


def test_an_index_is_kept_elsewhere_if_the_data_cannot_be_written(walks, folder, tmp_path, monkeypatch):
    (folder / ".simsiam_tf-files.npz").mkdir()
    for _ in range(2):
        read(folder)
    assert walks.count == 1
    assert list((tmp_path / "home" / ".cache" / "simsiam_tf").rglob("files.npz"))
    monkeypatch.setattr(index, "_CACHE", str(folder / "4.jpg"))
    for _ in range(2):
        read(folder)
    assert walks.count == 3
