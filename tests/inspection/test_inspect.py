"""The findings about folders and other data sets."""

import io

import numpy as np
import pytest
from PIL import Image

from simsiam_tf.config.data import DataConfig
from simsiam_tf.config.inspection import InspectConfig
from simsiam_tf.data.dataset import DataSet
from simsiam_tf.data.sources import memory_source
from simsiam_tf.data.walk import HIDDEN
from simsiam_tf.inspection import odd
from simsiam_tf.inspection.inspect import inspect
from simsiam_tf.inspection.left_out import HIDDEN_FILE
from tests.data.test_tfds import TinyUnevenImages
from tests.inspection.pictures import picture, save


def inspected(path, settings=None, **given):
    data = DataConfig(**{"dataset": "folder", "data_dir": str(path), "image_size": 64, **(settings or {})})
    return inspect(DataSet(data), InspectConfig(**given))[0]


@pytest.fixture
def photos(tmp_path):
    """Two classes of three pictures each, to train on and to evaluate on."""
    seeds = iter(range(100))
    for split in ("train", "val"):
        for name in ("cat", "dog"):
            for i in range(3):
                save(picture(next(seeds)), tmp_path / split / name / f"{i}.jpg", quality=90)
    return tmp_path


def names(groups):
    return [group.names for group in groups]


def test_nothing_is_found_where_there_is_nothing(photos):
    found = inspected(photos)
    assert found.identical == found.near == {"training": [], "evaluation": []}
    assert found.identical_between == found.near_between == found.questions == []
    assert found.odd == found.left_out == {}
    assert [(split.role, split.images, split.classes) for split in found.splits] == [
        ("training", 6, {"cat": 3, "dog": 3}),
        ("evaluation", 6, {"cat": 3, "dog": 3}),
    ]
    (sizes,) = found.sizes["training"]
    assert (sizes.kind, sizes.images, sizes.width, sizes.height) == ("JPEG RGB", 6, (150,) * 3, (100,) * 3)
    assert "Looked at 6: nothing unusual" in found.summary[-1]


def test_equal_and_nearly_equal_images_are_named_within_and_between_the_splits(photos):
    content = (photos / "train/cat/0.jpg").read_bytes()
    (photos / "train/dog/copy.jpg").write_bytes(content)
    (photos / "train/cat/more.jpg").hardlink_to(photos / "train/cat/1.jpg")
    (photos / "val/cat/leak.jpg").write_bytes((photos / "train/cat/2.jpg").read_bytes())
    save(picture(4, (100, 67)), photos / "val/dog/near.jpg", quality=60)
    save(picture(9), photos / "val/dog/again.png")
    found = inspected(photos)
    assert {str(group.names): (group.classes, group.one_file) for group in found.identical["training"]} == {
        "{'training': ['train/cat/0.jpg', 'train/dog/copy.jpg']}": (["cat", "dog"], False),
        "{'training': ['train/cat/1.jpg', 'train/cat/more.jpg']}": ([], True),
    }
    assert names(found.identical_between) == [{"training": ["train/cat/2.jpg"], "evaluation": ["val/cat/leak.jpg"]}]
    assert names(found.near_between) == [{"training": ["train/dog/1.jpg"], "evaluation": ["val/dog/near.jpg"]}]
    assert names(found.near["evaluation"]) == [{"evaluation": ["val/dog/0.jpg", "val/dog/again.png"]}]
    assert found.near["training"] == []


def test_every_file_that_is_left_out_is_listed_with_its_reason(photos):
    for name in ("notes.txt", "train/cat/film.mp4", "train/stray.jpg", "val/stray.jpg", "train/.hidden.jpg"):
        (photos / name).write_text("x")
    save(picture(70), photos / "test/cat/1.jpg")
    save(picture(71), photos / "other/2.jpg")
    save(picture(72), photos / ".cache/3.jpg")
    assert inspected(photos).left_out == {
        HIDDEN: [".cache"],
        ".mp4": ["train/cat/film.mp4"],
        ".txt": ["notes.txt"],
        "image beside the class folders": ["train/stray.jpg", "val/stray.jpg"],
        "image in no split": ["other/2.jpg"],
        "image of the split test, which is not used": ["test/cat/1.jpg"],
        HIDDEN_FILE: ["train/.hidden.jpg"],
    }
    used = inspected(photos, {"eval_split": "other"}).left_out
    assert "image in no split" not in used
    assert used["image of the split val, which is not used"] == [
        f"val/{c}/{i}.jpg" for c in ("cat", "dog") for i in "012"
    ] + ["val/stray.jpg"]


def test_images_of_several_folders_are_named_by_their_paths(photos, tmp_path):
    one, two = tmp_path / "train", tmp_path / "val"
    (two / "cat/0.jpg").write_bytes((one / "cat/0.jpg").read_bytes())
    (two / "notes.txt").write_text("x")
    found = inspected(f"{one},{two}")
    assert names(found.identical["training"]) == [{"training": [f"{one}/cat/0.jpg", f"{two}/cat/0.jpg"]}]
    assert found.left_out == {".txt": [f"{two}/notes.txt"]}


def test_files_of_a_list_that_are_no_images_are_left_out(photos, tmp_path):
    (photos / "notes.txt").write_text("x")
    listed = tmp_path / "list"
    listed.write_text("train/cat/0.jpg\nnotes.txt\nval/cat/1.jpg\n")
    found = inspected(photos, {"file_list": str(listed), "layout": "flat"})
    assert found.splits[0].images == 2
    assert found.left_out == {".txt": ["notes.txt"]}


def test_a_labelled_split_beside_the_training_images_is_compared_too(photos):
    save(picture(50), photos / "unlabeled/1.jpg")
    (photos / "val/cat/leak.jpg").write_bytes((photos / "train/cat/2.jpg").read_bytes())
    found = inspected(photos, {"train_split": "unlabeled"})
    assert [split.role for split in found.splits] == ["training", "labelled", "evaluation"]
    assert names(found.identical_between) == [{"labelled": ["train/cat/2.jpg"], "evaluation": ["val/cat/leak.jpg"]}]


def test_held_out_images_are_those_to_evaluate_on(photos):
    data = {"holdout": 0.34, "layout": "classes"}
    found = inspected(photos / "train", data)
    assert [(split.role, split.images) for split in found.splits] == [("training", 4), ("evaluation", 2)]


def odd_ones(found):
    return {kind: [one.name for one in ones] for kind, ones in found.odd.items()}


def test_odd_images_are_listed_by_kind(tmp_path):
    turned = Image.Exif()
    turned[0x0112] = 6
    save(picture(1), tmp_path / "turned.jpg", exif=turned)
    save(Image.new("RGB", (90, 90), (7, 8, 9)), tmp_path / "constant.png")
    save(Image.new("RGB", (90, 90), (9, 8, 7)), tmp_path / "constant.jpg")
    save(picture(2), tmp_path / "pages.gif", save_all=True, append_images=[picture(3)])
    save(picture(4, (70, 281)), tmp_path / "long.png")
    save(picture(5, (63, 64)), tmp_path / "small.png")
    save(picture(6, (400, 400)), tmp_path / "large.png")
    (tmp_path / "broken.png").write_bytes(b"no image")
    whole = save(picture(7), tmp_path / "cut.jpg").read_bytes()
    (tmp_path / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "gone.jpg").symlink_to("nowhere")
    save(Image.fromarray(np.linspace(0, 1, 6400, dtype=np.float32).reshape(80, 80)), tmp_path / "values.tif")
    found = inspected(tmp_path, {"max_bad_fraction": 0.5})
    assert odd_ones(found) == {
        odd.UNREADABLE: ["broken.png", "cut.jpg", "gone.jpg"],
        odd.UNKNOWN: ["values.tif"],
        odd.CONSTANT: ["constant.jpg", "constant.png"],
        odd.TURNED: ["turned.jpg"],
        odd.PAGES: ["pages.gif"],
        odd.LONG: ["long.png"],
        odd.SMALL.format(64): ["small.png"],
        odd.LARGEST: ["large.png"],
    }
    assert "No such file or directory" in found.odd[odd.UNREADABLE][2].why
    assert found.identical["training"] == found.near["training"] == []
    (question,) = found.questions
    assert "--value_range=0,1" in question
    assert "values.tif" in question
    assert any("2 images of the sample have too little structure" in note for note in found.notes)
    assert inspected(tmp_path, {"value_range": (0, 1), "max_bad_fraction": 0.5}).questions == []


def test_a_pattern_that_a_reduced_size_hides_is_no_single_colour(tmp_path):
    checks = (np.indices((640, 640)).sum(axis=0) % 2 * 40 + 100).astype(np.uint8)
    save(Image.fromarray(checks), tmp_path / "checks.jpg", quality=100)
    with Image.open(tmp_path / "checks.jpg") as image:
        image.draft(None, (72, 72))
        low, high = image.getextrema()
    assert low == high
    assert odd_ones(inspected(tmp_path)) == {}


def test_what_most_images_have_in_common_is_not_odd(photos):
    save(picture(90, (40, 90)), photos / "train/cat/small.png")
    assert odd_ones(inspected(photos)) == {odd.SMALL.format(64): ["train/cat/small.png"]}
    found = inspected(photos, {"image_size": 128})
    assert found.odd == {}
    assert found.notes[0] == "7 of the 7 training images: smaller than --image_size=128."


def test_a_folder_without_a_readable_image_is_inspected(tmp_path):
    (tmp_path / "broken.png").write_bytes(b"no image")
    (tmp_path / "empty.jpg").write_bytes(b"")
    found = inspected(tmp_path)
    assert odd_ones(found) == {odd.UNREADABLE: ["broken.png", "empty.jpg"]}
    assert found.sizes == found.values == {"training": []}


def first_frame_only(content):
    """Whether Pillow reads the first frame of a file, and fails at the second."""
    with Image.open(io.BytesIO(content)) as image:
        try:
            image.load()
        except Exception:
            return False
        try:
            return image.is_animated and False
        except Exception:
            return True


def test_an_image_whose_second_frame_is_broken_is_read(tmp_path):
    """Pillow looks for a second frame, in what is no more there."""
    save(picture(0), tmp_path / "0.png")
    save(picture(1), tmp_path / "1.png")
    path = save(picture(2), tmp_path / "cut.gif", save_all=True, append_images=[picture(3)])
    whole = path.read_bytes()
    stop = next(stop for stop in range(len(whole) // 3, len(whole)) if first_frame_only(whole[:stop]))
    path.write_bytes(whole[:stop])
    assert odd_ones(inspected(tmp_path)) == {odd.PAGES: ["cut.gif"]}


def test_a_run_that_would_stop_is_told(photos):
    (photos / "train/cat/broken1.jpg").write_bytes(b"no image")
    assert inspected(photos).questions == []  # one image of several may be
    (photos / "train/cat/broken2.jpg").write_bytes(b"no image")
    assert inspected(photos).questions == [
        "A run would stop, for 2 of the 8 training images cannot be read, and --max_bad_fraction=0.01; mend them or "
        "take them away."
    ]
    assert inspected(photos, {"max_bad_fraction": 0.25}).questions == []


def test_images_beyond_max_examples_are_not_inspected(photos):
    found = inspected(photos, {"max_examples": 4})
    assert [split.images for split in found.splits] == [4, 6]
    assert sum(found.splits[0].classes.values()) == 4
    assert found.notes[0] == "--max_examples: only the first 4 of 6 images are trained on, and looked at."
    assert found.left_out == {}


def test_images_of_16_bits_that_use_12_are_asked_about(tmp_path):
    ramp = np.linspace(0, 4000, 6400).astype(np.uint16).reshape(80, 80)
    save(Image.fromarray(ramp), tmp_path / "1.png")
    (question,) = inspected(tmp_path).questions
    assert "would be almost black" in question


def test_a_sample_is_said(photos):
    found = inspected(photos, sample=4)
    assert [(split.headers_read, split.pixels_read) for split in found.splits] == [(6, 4), (6, 4)]
    assert "a sample of 4 of the 6 training images" in found.notes[0]
    assert not any("a sample of" in note for note in inspected(photos, sample=0).notes)


def test_equal_files_are_found_outside_of_the_sample(photos):
    (photos / "train/dog/copy.jpg").write_bytes((photos / "train/cat/0.jpg").read_bytes())
    assert len(inspected(photos, sample=1).identical["training"]) == 1


def test_images_in_memory_are_inspected(rng):
    images = rng.integers(0, 256, (300, 32, 32, 3), np.uint8)
    images[1], images[2], images[250] = images[0], 9, images[240]
    data = DataSet(DataConfig(dataset="shapes", image_size=32))
    data.training = memory_source("shapes/train", images[:200], np.arange(200) % 10, 10)
    data.evaluation = memory_source("shapes/test", images[200:], None)
    found, splits = inspect(data, InspectConfig(sample=0))
    assert [(split.images, split.pixels_read) for split in found.splits] == [(200, 200), (100, 100)]
    assert found.left_out == {}
    assert names(found.identical["training"]) == [{"training": ["0", "1"]}]
    assert names(found.identical["evaluation"]) == [{"evaluation": ["40", "50"]}]
    assert found.identical_between == []
    assert odd_ones(found) == {odd.CONSTANT: ["2"]}
    assert all(split.in_memory for split in splits)
    assert names(inspect(data, InspectConfig(sample=5))[0].identical["training"]) == [{"training": ["0", "1"]}]


def test_records_are_inspected_by_a_sample(tmp_path):
    TinyUnevenImages(data_dir=tmp_path, file_format="tfrecord").download_and_prepare()
    data = DataConfig(dataset="tiny_uneven_images", data_dir=str(tmp_path), image_size=8)
    found, _ = inspect(DataSet(data), InspectConfig(sample=4))
    assert [(split.role, split.headers_read, split.pixels_read) for split in found.splits] == [
        ("training", 4, 4),
        ("evaluation", 4, 4),
    ]
    assert sum(sizes.images for sizes in found.sizes["training"] if sizes.kind != "all") == 4
    assert "sizes, equal images, values" in found.notes[0]
    every, _ = inspect(DataSet(data), InspectConfig(sample=0))
    assert sum(one.images for one in every.sizes["training"] if one.kind != "all") == every.splits[0].images
    assert not any("sample of" in note for note in every.notes)
