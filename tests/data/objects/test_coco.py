import json
import re
import shutil

import numpy as np
import pytest

from simsiam_tf.config.detection_data import DetectionDataConfig
from simsiam_tf.data.objects.opening import open_annotated
from simsiam_tf.data.objects.resize import full_masks
from simsiam_tf.errors import UsageError
from tests.data.objects.coco_files import content, open_coco_files, write_coco


def test_boxes_classes_and_masks_are_read_by_image_number(tmp_path, caplog):
    annotated = open_coco_files(tmp_path, content())
    assert [annotated.source.name_of(i) for i in range(4)] == ["3.png", "5.png", "9.png", "11.png"]
    assert annotated.classes == ("cat", "dog")
    assert annotated.category_ids == (2, 7)
    first, second, empty, last = annotated.objects
    assert first.boxes.tolist() == [[10, 5, 30, 15.5], [0, 0, 3, 40]]
    assert first.boxes.dtype == np.float64
    assert first.classes.tolist() == [1, 0]
    assert first.crowd.tolist() == [False, True]
    assert first.areas.tolist() == [105, 120]
    assert first.ids.tolist() == [100, 101]
    assert (first.image_id, first.size) == (3, (40, 60))
    assert second.boxes.tolist() == [[0, 3, 8, 11]]  # cut off at the edge
    assert second.areas.tolist() == [64]
    assert len(empty) == 0
    assert annotated.has_masks
    masks = full_masks(last)
    assert masks.shape == (1, 40, 64)
    assert np.argwhere(masks[0]).tolist() == [[y, x] for y in range(4, 12) for x in (4, 5)]
    assert full_masks(first)[1, :, :3].all()
    assert annotated.broken == ()
    assert not caplog.records


def test_images_without_an_object_are_not_trained_on(tmp_path, caplog):
    with caplog.at_level("INFO", "simsiam_tf"):
        annotated = open_coco_files(tmp_path, content()).to_train()
    assert [annotated.source.name_of(i) for i in range(len(annotated))] == ["3.png", "5.png", "11.png"]
    assert [found.image_id for found in annotated.objects] == [3, 5, 11]
    assert annotated.max_objects == 1  # a crowd does not count
    assert annotated.objects[0].to_train().ids.tolist() == [100]
    assert "1 of 4 images of coco/objects.json have no object" in caplog.text


BREAKS = {
    "unknown class": ({"category_id": 1}, "its category_id 1 is that of no category"),
    "unknown image": ({"image_id": 4}, "no image, annotation 100: its image_id 4 is that of no image"),
    "no box": ({"bbox": [1, 2, 3]}, "it has no bbox of four numbers"),
    "not finite": ({"bbox": [float("nan"), 1, 2, 3]}, "its box is not of finite numbers"),
    "empty box": ({"bbox": [1, 1, 0, 3]}, r"its box is empty \(1, 1 to 1, 4\)"),
    "inverted box": ({"bbox": [9, 1, -3, 3]}, r"its box ends before it begins \(9, 1 to 6, 4\)"),
    "box outside": ({"bbox": [60, 1, 3, 3]}, r"outside of the image \(60, 1 to 63, 4, in 60 x 40 pixels\)"),
    "a sliver": ({"bbox": [59.999999, 1, 10, 10]}, "outside of the image"),
    "iscrowd": ({"iscrowd": "1"}, "its iscrowd '1' is neither 0 nor 1"),
    "negative area": ({"area": -105}, "its area -105 is negative"),
    "mask": ({"segmentation": []}, "it has no mask"),
}
KINDS = {"a sliver": "box outside"}


@pytest.mark.parametrize("kind", BREAKS)
def test_a_broken_annotation_is_named_and_left_out(kind, tmp_path, caplog):
    change, reason = BREAKS[kind]
    broken = content()
    broken["annotations"][0] |= change
    annotated = open_coco_files(tmp_path, broken)
    assert annotated.objects[0].ids.tolist() == [101]
    assert len(annotated.broken) == 1
    assert re.search(reason, annotated.broken[0])
    assert f"left out 1 of 4 annotations of coco/objects.json ({KINDS.get(kind, kind)}: 1)" in caplog.text
    broken["annotations"][1] |= {"bbox": None}
    with pytest.raises(UsageError, match=r"At most 1\.00% of the 4 annotations .* Received: 2 .* the first of them"):
        open_coco_files(tmp_path, broken)
    assert len(open_coco_files(tmp_path, broken, max_bad_fraction=0.5).broken) == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.pop("images"), "which has no list images"),
        (lambda c: c.pop("categories"), "which has no list categories"),
        (lambda c: c["images"][0].pop("file_name"), r"Each entry of images must have id \(a whole number\) and file_n"),
        (lambda c: c["images"][0].update(id=3), "Each id of images must be there once.* Received: 3 again"),
        (lambda c: c["categories"][0].update(name="cat"), "Each name of categories must be there once"),
        (lambda c: c["annotations"].append(7), r"Each entry of annotations must have names and values.* Received: 7"),
        (lambda c: c.update(images=[]), "must have images and categories"),
        (lambda c: c["images"][1].update(file_name="../secret.png"), r"must be a path below the folder.*\.\./secret"),
        (lambda c: c["images"][1].update(file_name="/etc/passwd"), r"must be a path below the folder.*/etc/passwd"),
        (lambda c: c["images"][1].update(file_name="."), r"must be a path below the folder"),
        (lambda c: c["images"][1].update(file_name="a\0.png"), r"must be a path below the folder.*a\\x00"),
        (lambda c: c["images"][1].update(file_name="\ud800.png"), r"must be a path below the folder"),
        (lambda c: [image.update(file_name=f"x{image['id']}") for image in c["images"]], "which has no x3"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_in_a_sentence(change, message, tmp_path):
    broken = content()
    change(broken)
    with pytest.raises(UsageError, match=message):
        open_coco_files(tmp_path, broken)


def test_a_file_that_is_no_json_is_refused(tmp_path):
    path = write_coco(tmp_path, content())
    path.write_text("{")
    config = DetectionDataConfig(dataset="coco", data_dir=str(tmp_path / "images"), train_annotations=str(path))
    with pytest.raises(UsageError, match=r"must be JSON \(Expecting"):
        open_annotated(config, "train")
    path.unlink()
    with pytest.raises(UsageError, match=r"file of annotations of a COCO set must exist. Received: .*objects\.json"):
        open_annotated(config, "train")


def test_the_official_layout_needs_the_folder_alone(tmp_path):
    for name in ("train2017", "val2017"):
        write_coco(tmp_path, content(), name, f"annotations/instances_{name}.json")
    config = DetectionDataConfig(dataset="coco", data_dir=str(tmp_path))
    for part, name in (("train", "coco/train2017"), ("eval", "coco/val2017")):
        annotated = open_annotated(config, part)
        assert annotated.source.name == name
        assert len(annotated) == 4


def test_own_files_are_named(tmp_path):
    train, test = (write_coco(tmp_path / name, content()) for name in ("a", "b"))
    settings = {"dataset": "coco", "data_dir": str(tmp_path / "a/images"), "train_annotations": str(train)}
    with pytest.raises(UsageError, match="--eval_annotations must name the objects to evaluate on"):
        open_annotated(DetectionDataConfig(**settings), "eval")
    config = DetectionDataConfig(**settings, eval_annotations=str(test), eval_dir=str(tmp_path / "b/images"))
    assert open_annotated(config, "eval").source.files.locate(0) == str(tmp_path / "b/images/3.png")


def test_sizes_are_read_from_images_if_the_file_lacks_them(tmp_path):
    bare = content()
    for image in bare["images"]:
        del image["height"], image["width"]
    annotated, known = open_coco_files(tmp_path, bare), open_coco_files(tmp_path, content())
    assert [found.size for found in annotated.objects] == [found.size for found in known.objects]
    (tmp_path / "images/9.png").write_bytes(b"no image")
    (tmp_path / "objects.json").write_text(json.dumps(bare))
    config = DetectionDataConfig(
        dataset="coco", data_dir=str(tmp_path / "images"), train_annotations=str(tmp_path / "objects.json")
    )
    assert open_annotated(config, "train").objects[2].size is None


def test_boxes_alone_are_a_set_without_masks(tmp_path):
    bare = content()
    for annotation in bare["annotations"]:
        del annotation["segmentation"]
    annotated = open_coco_files(tmp_path, bare)
    assert not annotated.has_masks
    assert annotated.objects[0].masks is None
    with pytest.raises(ValueError, match="Only objects with masks"):
        full_masks(annotated.objects[0])


def test_the_fingerprint_tells_other_annotations(tmp_path):
    prints = {open_coco_files(tmp_path, content()).fingerprint}
    for number, change in (
        (0, {"bbox": [10, 5, 20, 10]}),
        (0, {"category_id": 2}),
        (1, {"iscrowd": 0}),
        (0, {"segmentation": [[10, 5, 30, 5, 30, 15]]}),
    ):
        other = content()
        other["annotations"][number] |= change
        prints.add(open_coco_files(tmp_path, other).fingerprint)
    assert len(prints) == 5
    assert open_coco_files(tmp_path, content()).fingerprint in prints


def test_classes_are_numbered_as_in_training(tmp_path):
    annotated = open_coco_files(tmp_path, content())
    other = annotated.numbered_by(("ant", "dog", "cat"))
    assert other.objects[0].classes.tolist() == [1, 2]
    assert other.category_ids == (-1, 7, 2)
    with pytest.raises(UsageError, match=r"must have no class that the images to train on lack\. Received: dog"):
        annotated.numbered_by(("cat",))


def test_a_set_that_was_moved_is_the_same_and_one_with_other_boxes_is_not(tmp_path):
    before = open_coco_files(tmp_path / "here", content()).fingerprint
    shutil.copytree(tmp_path / "here", tmp_path / "there")
    assert open_coco_files(tmp_path / "there", content()).fingerprint == before
    changed = content()
    changed["annotations"][0]["bbox"][0] += 1
    assert open_coco_files(tmp_path / "there", changed).fingerprint != before


def test_masks_that_nobody_wants_are_neither_needed_nor_kept(tmp_path):
    some = content()
    some["annotations"][0]["segmentation"] = []
    path = write_coco(tmp_path, some)
    config = DetectionDataConfig(dataset="coco", data_dir=str(tmp_path / "images"), train_annotations=str(path))
    annotated = open_annotated(config, "train", masks=False)
    assert not annotated.has_masks
    assert len(annotated.objects[0]) == 2
    assert not annotated.broken


def test_a_size_that_no_image_has_is_taken_for_unknown(tmp_path):
    huge = content()
    huge["images"][0]["height"] = 10**30
    assert open_coco_files(tmp_path, huge).objects[0].size == open_coco_files(tmp_path, content()).objects[0].size
