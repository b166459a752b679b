import re

import numpy as np
import pytest
from PIL import Image

from simsiam_tf.config.detection_data import DetectionDataConfig
from simsiam_tf.data.objects.opening import open_annotated
from simsiam_tf.data.objects.voc import VOC_CLASSES
from simsiam_tf.errors import UsageError

SIZE = "<size><width>60</width><height>40</height><depth>3</depth></size>"


def thing(name, *box, difficult=0):
    corners = "".join(f"<{side}>{v}</{side}>" for side, v in zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True))
    part = "<part><name>head</name><bndbox><xmin>1</xmin></bndbox></part>"
    return f"<object><name>{name}</name><bndbox>{corners}</bndbox><difficult>{difficult}</difficult>{part}</object>"


def write(folder, split, images, size=SIZE, ending=".jpg"):
    for name in ("JPEGImages", "Annotations", "ImageSets/Main"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for name, objects in images.items():
        Image.new("RGB", (60, 40)).save(folder / f"JPEGImages/{name}{ending}")
        text = f"<annotation><filename>{name}{ending}</filename>{size}{''.join(objects)}</annotation>"
        (folder / f"Annotations/{name}.xml").write_text(text)
    (folder / f"ImageSets/Main/{split}.txt").write_text("".join(f"{name}\n" for name in images))


@pytest.fixture
def devkit(tmp_path):
    write(
        tmp_path / "VOC2007",
        "trainval",
        {"000005": [thing("dog", 1, 1, 60, 40), thing("aeroplane", 11.5, 2, 20, 30, difficult=1)], "000007": []},
    )
    write(tmp_path / "VOC2007", "test", {"000001": [thing("person", 3, 4, 5, 6)]})
    write(tmp_path / "VOC2012", "trainval", {"2008_1": [thing("tvmonitor", 2, 2, 3, 3)]})
    return tmp_path


def opened(folder, part="train", **settings):
    return open_annotated(DetectionDataConfig(dataset="voc", data_dir=str(folder), **settings), part)


def test_pixels_are_counted_from_1_and_the_last_is_inside(devkit, caplog):
    annotated = opened(devkit)
    assert annotated.source.name == "voc/2007_trainval"
    assert annotated.classes == VOC_CLASSES == tuple(sorted(VOC_CLASSES)) and len(VOC_CLASSES) == 20
    first, second = annotated.objects
    assert first.boxes.tolist() == [[0, 0, 60, 40], [10.5, 1, 20, 30]]
    assert first.classes.tolist() == [VOC_CLASSES.index("dog"), 0]
    assert first.difficult.tolist() == [False, True]
    assert first.areas.tolist() == [2400, 9.5 * 29]
    assert not first.crowd.any() and len(first.to_train()) == 2
    assert first.size == (40, 60) and len(second) == 0
    assert not annotated.has_masks and not caplog.records


def test_several_splits_are_joined(devkit):
    annotated = opened(devkit, train_split="2007_trainval+2012_trainval")
    names = [annotated.source.name_of(i) for i in range(3)]
    assert names == [f"VOC2007/JPEGImages/{n}.jpg" for n in ("000005", "000007")] + ["VOC2012/JPEGImages/2008_1.jpg"]
    assert annotated.objects[2].classes.tolist() == [19]
    assert opened(devkit, "eval").source.name == "voc/2007_test"
    with pytest.raises(UsageError, match=r"must name each image once\. Received: 000005"):
        opened(devkit, train_split="2007_trainval+2007_trainval")


def test_an_own_set_has_the_classes_of_its_files(tmp_path):
    write(tmp_path, "train", {"a b": [thing("zebra", 1, 1, 5, 5), thing("ant", 1, 1, 5, 5)]}, ending=".png")
    write(tmp_path, "test", {"c": [thing("zebra", 1, 1, 5, 5)], "d": [thing("bee", 1, 1, 5, 5)]})
    settings = {"train_split": "train", "eval_split": "test", "max_bad_fraction": 0.5}
    annotated = opened(tmp_path, **settings)
    assert annotated.classes == ("ant", "zebra")
    assert annotated.source.name_of(0) == "JPEGImages/a b.png"
    evaluation = opened(tmp_path, "eval", **settings)
    assert evaluation.classes == ("ant", "zebra")
    assert evaluation.objects[0].classes.tolist() == [1]
    assert evaluation.broken == ("JPEGImages/d.jpg, object 1: 'bee' is no class (--class_names)",)
    named = opened(tmp_path, class_names=("zebra", "bee", "ant"), **settings)
    assert named.objects[0].classes.tolist() == [0, 2]


def test_sizes_that_files_lack_are_those_of_the_images(tmp_path):
    for number, size in enumerate(("", "<size><width>0</width><height>40</height></size>", "<size/>")):
        write(tmp_path / str(number), "train", {"a": [thing("ant", 1, 1, 99, 5)]}, size)
        (objects,) = opened(tmp_path / str(number), train_split="train").objects
        assert objects.size == (40, 60)
        assert objects.boxes.tolist() == [[0, 0, 60, 5]]


BOMB = '<!DOCTYPE annotation [<!ENTITY a "dog">]><annotation><object><name>&a;</name></object></annotation>'


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (BOMB.encode(), "it has a <!DOCTYPE"),
        (BOMB.encode("utf-16"), "it has a <!DOCTYPE"),
        (b'<!DOCTYPE annotation SYSTEM "http://somewhere/a.dtd"><annotation/>', "it has a <!DOCTYPE"),
        (b"<annotation>", "it is no XML"),
        (b"", "it is no XML"),
        (b'<?xml version="1.0" encoding="nosuch"?><annotation/>', "it is no XML"),
        (b"<html/>", "it is no annotation of VOC, but begins with 'html'"),
        (None, "No such file"),
    ],
)
def test_an_image_with_a_broken_file_is_left_out(content, reason, devkit, caplog):
    path = devkit / "VOC2007/Annotations/000007.xml"
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    annotated = opened(devkit)
    assert len(annotated) == 1
    assert annotated.broken[0].startswith(f"{path}: {reason}")
    assert "left out 1 of 3 annotations of voc/2007_trainval (file: 1)" in caplog.text


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (thing("dog", 5, 5, 4, 9), r"object 3: its box is empty \(4, 4 to 4, 9\)"),
        (thing("dog", "x", 5, 4, 9), "object 3: it has no box of four numbers"),
        (thing("dog", "nan", 5, 4, 9), "object 3: its box is not of finite numbers"),
        ("<object><name>dog</name></object>", "object 3: it has no box of four numbers"),
        (thing("dgo", 5, 5, 9, 9), "object 3: 'dgo' is no class"),
        (thing("dog", 90, 5, 99, 9), "object 3: its box lies outside of the image"),
    ],
)
def test_a_broken_object_is_left_out(broken, reason, devkit):
    good = [thing("dog", 1, 1, 60, 40), thing("cat", 3, 3, 4, 4)]
    write(devkit / "VOC2007", "trainval", {"000005": [*good, broken]})
    annotated = opened(devkit)
    assert len(annotated.objects[0]) == 2
    assert re.match(f"VOC2007/JPEGImages/000005.jpg, {reason}", annotated.broken[0])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"train_split": "2012_test"}, r"must have a list in ImageSets/Main. Received: 2012_test"),
        ({"train_split": "2009_trainval"}, r"--data_dir must be the folder that holds VOC2007.*for the split 2009_tr"),
        ({"train_split": "2007_elsewhere"}, r"must name images without a folder\. Received: '\.\./\.\./secret'"),
        ({"train_split": "trainval"}, r"--data_dir must be the folder that holds VOC2007.*for the split trainval"),
    ],
)
def test_a_split_that_is_not_there_is_said(settings, message, devkit):
    (devkit / "VOC2007/ImageSets/Main/elsewhere.txt").write_text("../../secret\n")
    with pytest.raises(UsageError, match=message):
        opened(devkit, **settings)
    (devkit / "VOC2007/ImageSets/Main/none.txt").write_text("\n")
    with pytest.raises(UsageError, match=r"must name images\. Received: 2007_none"):
        opened(devkit, train_split="2007_none")


@pytest.mark.parametrize("side", ["inf", "1e300", "nan", "-5"])
def test_a_size_that_cannot_be_is_that_of_the_image(side, devkit):
    write(devkit / "VOC2007", "trainval", {"000005": [thing("dog", 1, 1, 60, 40)]}, SIZE.replace("60", side))
    assert opened(devkit).objects[0].size == (40, 60)


def test_numbers_of_the_classes_are_whole(devkit):
    assert opened(devkit).objects[1].classes.dtype == np.int64
