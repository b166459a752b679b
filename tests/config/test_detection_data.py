import pytest

from simsiam_tf.config.detection_data import DetectionDataConfig
from simsiam_tf.errors import UsageError


@pytest.mark.parametrize(
    ("dataset", "train", "evaluation", "sides", "side"),
    [
        ("made", "train", "test", range(96, 161, 16), 128),
        ("coco", "train2017", "val2017", range(640, 801, 32), 800),
        ("voc", "2007_trainval", "2007_test", range(480, 801, 32), 800),
        ("tfds:voc/2012", "train", "test", range(480, 801, 32), 800),
        ("tfds:voc", "train", "test", range(480, 801, 32), 800),
        ("tfds:coco/2017", "train", "validation", range(640, 801, 32), 800),
    ],
)
def test_defaults_are_those_of_the_data_set(dataset, train, evaluation, sides, side):
    config = DetectionDataConfig(dataset=dataset, data_dir="somewhere")
    assert (config.split("train"), config.split("eval")) == (train, evaluation)
    assert config.sides == tuple(sides)
    assert config.evaluation_side == side
    assert config.images.dataset == dataset.removeprefix("tfds:")
    given = DetectionDataConfig(
        dataset=dataset, data_dir="x", train_split="a", eval_split="b", short_sides=(64,), eval_short_side=96
    )
    assert (given.split("train"), given.split("eval"), given.sides, given.evaluation_side) == ("a", "b", (64,), 96)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"dataset": "cifar10"}, "--dataset must be coco, voc, made, or a name in TensorFlow Datasets behind tfds:"),
        ({"dataset": "tfds:"}, "--dataset must be coco, voc, made"),
        ({"dataset": "voc"}, "--dataset=voc needs --data_dir"),
        ({"dataset": "coco"}, "--dataset=coco needs --data_dir"),
        ({"train_annotations": "a.json"}, "--train_annotations needs --dataset=coco"),
        ({"class_names": ("a",)}, "--class_names needs --dataset=voc"),
        ({"dataset": "voc", "data_dir": "x", "class_names": ("a", "a")}, "--class_names must name each class once"),
        ({"short_sides": (16,)}, "must be 32 to 8192. Received: 16"),
        ({"eval_short_side": 9000}, "must be 32 to 8192. Received: 9000"),
        ({"long_side": 100}, "--long_side must be at least the short side, 160. Received: 100"),
        ({"max_bad_fraction": 1.0}, "--max_bad_fraction must be below 1"),
        ({"canvases": "two"}, "--canvases must be one of auto, one"),
        ({"global_batch_size": 0}, "--global_batch_size must be positive"),
    ],
)
def test_impossible_values_are_refused(settings, message):
    with pytest.raises(UsageError, match=message):
        DetectionDataConfig(**settings)


def test_the_settings_of_images_are_those_of_the_objects():
    config = DetectionDataConfig(exif="ignore", max_pixels=5, max_bad_fraction=0.2, index="rebuild", index_dir="i")
    images = config.images
    assert (images.exif, images.max_pixels, images.max_bad_fraction) == ("ignore", 5, 0.2)
    assert (images.index, images.index_dir) == ("rebuild", "i")
    assert images.pixels == config.pixels


def test_every_setting_says_what_its_absence_means():
    assert [setting.name for setting in DetectionDataConfig.settings() if not setting.says_absent] == []
