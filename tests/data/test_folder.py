"""What a folder is: splits, classes, and what is left out."""

import os
import socket

import numpy as np
import pytest
from PIL import Image

from simsiam_tf.config.data import DataConfig
from simsiam_tf.data.dataset import DataSet
from simsiam_tf.data.overview import describe_change, identity, overview
from simsiam_tf.data.sight import Sight, look_at
from simsiam_tf.data.walk import HIDDEN, LINKED, SPECIAL, walk
from simsiam_tf.errors import UsageError


@pytest.fixture
def make(tmp_path):
    """Makes small images below a folder, each of another colour."""
    made = []

    def images(*names, of=None):
        for name in names:
            path = (of or tmp_path) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            made.append(name)
            image = np.random.default_rng(len(made)).integers(0, 256, (9, 9, 3), np.uint8)
            Image.fromarray(image).save(path)
        return tmp_path

    return images


def opened(path, **settings):
    return DataSet(DataConfig(dataset="folder", data_dir=str(path), **settings))


def names(source):
    return sorted(os.path.relpath(source.files.locate(i)) for i in range(source.num_examples))


def by_class(source):
    """The names of the images' files, by the name of their class."""
    pairs = [(source.classes[source.labels[i]], source.files.name(i)) for i in range(source.num_examples)]
    return {name: sorted(file for c, file in pairs if c == name) for name in source.classes}


def test_a_file_that_is_only_an_ending_is_hidden_and_hides_no_other(make):
    path = make("a/1.png", "a/2.png", "b/3.png")
    for name in (".png", "a/.png", "b/.jpg"):
        (path / name).write_bytes(b"")
    assert opened(path).training.num_examples == 3


def test_a_split_without_images_is_refused(make):
    path = make("train/a/1.png", "train/b/2.png", "val/a/3.png", "val/b/4.png")
    with pytest.raises(UsageError, match=r"The split \. has no image"):
        _ = opened(path, eval_split=".").evaluation


@pytest.mark.parametrize("hidden", [".ipynb_checkpoints", ".thumbnails", "__MACOSX", "@eaDir", "#recycle"])
def test_hidden_and_system_folders_are_left_out(make, hidden):
    data = opened(make("a/1.png", "b/1.png", f"{hidden}/1.png", f"b/{hidden}/2.png"))
    assert data.training.classes == ("a", "b")
    assert data.training.num_examples == 2
    assert data.folder.left_out == {HIDDEN: [hidden, f"b/{hidden}"]}


@pytest.mark.parametrize(
    ("train", "test", "flags"),
    [
        ("training", "test", {"train_split": "training"}),
        ("Train", "Val", {}),
        ("TRAINING", "validation", {}),
        ("train", "Testing", {}),
        ("mine", "eval", {"train_split": "mine"}),
    ],
)
def test_classes_go_by_name_in_every_split(make, train, test, flags):
    """The test split has another subset of the classes, in numbers of its own."""
    path = make(*(f"{train}/{c}/{i}.png" for c in "abc" for i in range(3)), f"{test}/b/1.png", f"{test}/c/2.png")
    data = opened(path, **flags)
    assert data.training.classes == data.evaluation.classes == ("a", "b", "c")
    assert by_class(data.evaluation) == {"a": [], "b": ["b/1.png"], "c": ["c/2.png"]}
    assert data.training.num_examples == 9


def test_test_images_are_never_trained_on(make):
    data = opened(make("aa/1.png", "zz/1.png", "test/aa/2.png", "test/zz/2.png"))
    assert data.training.classes == ("aa", "zz")
    assert data.training.num_examples == data.evaluation.num_examples == 2


@pytest.mark.parametrize(("splits", "chosen"), [(["test", "valid"], "valid"), (["testing", "Eval", "val"], "val")])
def test_the_monitor_takes_a_validation_split_first(make, splits, chosen):
    path = make(*(f"{s}/{c}/1.png" for s in ["train", *splits] for c in "ab"))
    assert opened(path).evaluation.name == str(path / chosen)


@pytest.mark.parametrize(
    ("files", "words"),
    [
        (["plane/1.png", "train/2.png", "car/3.png"], "train could be a split or a class.*--layout=classes"),
        (["aa/1.png", "zz/1.png", "test/2.png"], "test could be a split or a class"),
        (["mine/train/a/1.png", "mine/train/b/1.png", "mine/val/a/2.png"], "mine/train has the name of a split"),
        (
            ["cat/train/1.png", "cat/test/2.png", "dog/train/3.png", "dog/test/4.png"],
            "cat/test has the name of a split",
        ),
        (["a/1.png", "b/1.png", "2.png", "3.png"], "2 images of its own beside 2 folders.*--layout=flat"),
        (["Training/a/1.png", "TRAINING/a/1.png"], "2 folders could be the split train"),
    ],
)
def test_what_can_be_understood_in_two_ways_is_asked(make, files, words):
    with pytest.raises(UsageError, match=words):
        _ = opened(make(*files)).training


def test_layout_decides_what_is_unclear(make):
    path = make("plane/1.png", "train/2.png", "car/3.png")
    assert opened(path, layout="classes").training.classes == ("car", "plane", "train")
    assert names(opened(path, layout="splits").training) == [os.path.relpath(path / "train/2.png")]
    flat = opened(path, layout="flat").training
    assert (flat.num_examples, flat.labels) == (3, None)


def test_a_run_on_unlabelled_images_is_judged_by_the_labelled_ones(make):
    path = make("unlabeled/cam1/1.png", "unlabeled/cam2/2.png", "train/a/3.png", "train/b/4.png", "test/b/5.png")
    data = opened(path, train_split="unlabeled")
    assert data.training.num_examples == 2
    assert data.labelled.classes == data.evaluation.classes == ("a", "b")
    assert by_class(data.evaluation) == {"a": [], "b": ["b/5.png"]}
    assert data.lacks == ""
    path.joinpath("train").rename(path / "else")
    alone = opened(path, train_split="unlabeled")
    assert alone.training.num_examples == 2
    assert alone.lacks


def test_a_stray_file_is_left_out_and_named(make):
    data = opened(
        make("train/a/1.png", "train/a/2.png", "train/b/3.png", "train/thumb.png", "val/a/4.png", "val/b/5.png")
    )
    assert data.training.num_examples == 3
    assert data.training.labels is not None
    assert any("train/thumb.png" in line for line in overview(data, Sight(), 3))


def test_links_are_followed_but_never_in_circles(make, tmp_path):
    outside = tmp_path / "outside"
    path = tmp_path / "data"
    make("x/7.png", of=outside)
    make("a/1.png", "b/2.png", of=path)
    (path / "a" / "again").symlink_to(path)
    (path / "b" / "up").symlink_to("..")
    (path / "b" / "loop").symlink_to("loop")
    (path / "b" / "twice").symlink_to(path / "a")
    (path / "c").symlink_to(outside / "x")
    listing = walk(str(path))
    assert listing.names == ["a/1.png", "b/2.png", "c/7.png"]
    assert listing.left_out == {"no ending": ["b/loop"], LINKED: ["a/again", "b/twice", "b/up"]}


def test_only_regular_files_are_opened(make, monkeypatch):
    path = make("1.png")
    os.mkfifo(path / "2.png")
    (path / "3.png").symlink_to("/dev/zero")
    with socket.socket(socket.AF_UNIX) as bound:
        monkeypatch.chdir(path)  # names of sockets are short
        bound.bind("4.png")
    (path / "5.png").symlink_to("nowhere")
    listing = walk(str(path))
    assert listing.names == ["1.png", "5.png"]
    assert listing.left_out == {SPECIAL: ["2.png", "3.png", "4.png"]}
    source = opened(path).training
    position = next(i for i in range(2) if source.name_of(i) == "5.png")
    with pytest.raises(FileNotFoundError):
        source.files.load(position)


def test_all_that_pillow_reads_is_read_and_the_rest_counted_by_ending(make):
    endings = ["jfif", "ppm", "avif", "jp2", "tga", "TIF", "webp", "gif", "bmp"]
    path = make(*(f"{i}.{ending}" for i, ending in enumerate(endings)))
    for name in ("notes.txt", "more.txt", "film.mp4", "README", ".DS_Store", "old.eps"):
        (path / name).write_text("x")
    data = opened(path)
    assert data.training.num_examples == len(endings)
    counts = {kind: len(found) for kind, found in data.folder.left_out.items()}
    assert counts == {".txt": 2, ".mp4": 1, "no ending": 1, ".eps": 1}
    assert look_at(data.training).unreadable == 0
    assert "2 .txt files" in overview(data, Sight(), 9)[1]


def test_the_first_line_says_what_is_trained_on(make):
    path = make(
        *(f"train/{c}/{i}.png" for c in ("cat", "dog") for i in range(20)), *(f"val/cat/{i}.png" for i in range(9))
    )
    make("val/dog/1.png")
    data = opened(path)
    lines = overview(data, look_at(data.training), 40)
    assert lines[0] == f"40 training images in 2 classes (cat, dog) of {path}; 10 to evaluate on"
    assert len(lines) <= 6
    same = opened(path, eval_split="train")
    assert overview(same, Sight(), 40)[0].endswith("; 40 to evaluate on, which are those that are trained on")


def test_holdout_takes_as_many_of_each_class_and_keeps_to_them(make):
    path = make(*(f"{c}/{i}.png" for c, n in (("a", 30), ("b", 12)) for i in range(n)))
    data = opened(path, holdout=0.2)
    assert np.bincount(data.evaluation.labels).tolist() == [4, 4]
    assert not set(names(data.training)) & set(names(data.evaluation))
    assert data.training.num_examples == 42 - 8
    make(*(f"{c}/{i}.png" for c in "ab" for i in range(100, 130)))
    again = DataSet(DataConfig(dataset="folder", data_dir=str(path), holdout=0.2), frozenset(data.held_out))
    assert names(again.evaluation) == names(data.evaluation)
    for refused, words in ((["val/a/1.png", "val/b/1.png"], "leave --holdout out"),):
        make(*refused)
        with pytest.raises(UsageError, match=words):
            _ = opened(path, holdout=0.2).training


def test_several_folders_lists_and_labels(make, tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    make("a/1.png", "b/2.png", of=one)
    make("b/3.png", "c/4.png", of=two)
    both = opened(f"{one},{two}").training
    assert by_class(both) == {"a": ["a/1.png"], "b": ["b/2.png", "b/3.png"], "c": ["c/4.png"]}
    for overlapping in (f"{one},{one}", f"{one},{one}/a", f"{two}/../one/b,{two},{one}"):
        with pytest.raises(UsageError, match="of which none holds another"):
            _ = opened(overlapping).training
    listed = tmp_path / "list.txt"
    listed.write_text("a/1.png\n\nb/2.png\n")
    assert opened(one, file_list=str(listed)).training.num_examples == 2
    listed.write_text("a/1.png\nb/9.png\n")
    with pytest.raises(UsageError, match=r"1 that do not exist, the first of them b/9\.png"):
        _ = opened(one, file_list=str(listed)).training
    make("c/5.png", of=one)
    table = tmp_path / "labels.csv"
    table.write_text("path,label\na/1.png,cat\nb/2.png,dog\n")
    data = opened(one, labels=str(table))
    assert data.training.num_examples == 3
    assert data.training.labels is None  # one image has no label
    assert by_class(data.labelled) == {"cat": ["a/1.png"], "dog": ["b/2.png"]}
    table.write_text("")
    with pytest.raises(UsageError, match="Received: an empty file"):
        _ = opened(one, labels=str(table)).training
    table.write_text(f"a/1.png,{'x' * 200_000}\n")
    with pytest.raises(UsageError, match=r"field larger than field limit"):
        _ = opened(one, labels=str(table)).training
    table.write_text("path,label\na/1.png,cat\na/1.png,dog\n")
    with pytest.raises(UsageError, match=r"one label\. Received: a/1\.png with cat and dog"):
        _ = opened(one, labels=str(table)).training


def test_a_set_is_known_by_names_and_sizes_wherever_it_lies(make, tmp_path):
    path = tmp_path / "set"
    make("a/1.png", "b/2.png", of=path)
    before = identity(opened(path))
    path.rename(tmp_path / "moved")
    assert describe_change(before, identity(opened(tmp_path / "moved"))) == ""
    make("b/3.png", of=tmp_path / "moved")
    assert describe_change(before, identity(opened(tmp_path / "moved"))) == "2 images on record, 3 now"
    (tmp_path / "moved" / "b" / "3.png").unlink()
    (tmp_path / "moved" / "b" / "2.png").rename(tmp_path / "moved" / "b" / "4.png")
    assert "other names or sizes" in describe_change(before, identity(opened(tmp_path / "moved")))
    (tmp_path / "moved" / "b").rename(tmp_path / "moved" / "c")
    assert "classes a, b on record, a, c now" in describe_change(before, identity(opened(tmp_path / "moved")))


@pytest.mark.parametrize("where", [{"data_dir": "gs://bucket/photos"}, {"file_list": "gs://bucket/list.txt"}])
def test_loose_images_in_a_bucket_are_refused(where):
    with pytest.raises(UsageError, match=r"must be on this machine.*make shards of it"):
        _ = DataSet(DataConfig(dataset="folder", **where)).training
