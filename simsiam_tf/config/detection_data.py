"""Declares the settings of images with objects: the data set, the sizes of the images, and the batch size."""

import dataclasses
import re
from typing import Literal

from simsiam_tf.config.data import DataConfig
from simsiam_tf.config.fields import Integers, Names, SettingsGroup, option
from simsiam_tf.config.pixels import Pixels
from simsiam_tf.errors import check

# The settings that say where the objects of a set in COCO's format are.
OF_OBJECTS = ("train_annotations", "eval_annotations", "eval_dir")
# The beginning of --dataset for sets of TensorFlow Datasets.
TFDS = "tfds:"


@dataclasses.dataclass(frozen=True)
class _Defaults:
    """Holds what the settings of a data set are by default."""

    train_split: str
    eval_split: str
    short_sides: tuple[int, ...]
    eval_short_side: int


_OF_VOC = _Defaults("2007_trainval", "2007_test", tuple(range(480, 801, 32)), 800)
_OF_COCO = _Defaults("train2017", "val2017", tuple(range(640, 801, 32)), 800)
_OF_MADE = _Defaults("train", "test", (96, 112, 128, 144, 160), 128)


@dataclasses.dataclass(frozen=True)
class DetectionDataConfig(SettingsGroup):
    """Images with objects."""

    dataset: str = option(
        "made",
        "'coco' (a JSON file in COCO's format and a folder of images), 'voc' (XML files in the layout of VOC), a name "
        "in TensorFlow Datasets behind 'tfds:', such as tfds:voc/2007, or 'made' (built in: drawn shapes).",
        absent="made",
    )
    data_dir: str = option(
        "",
        "Folder of the data. 'coco': the folder that holds annotations/ and the folders of images; or, with "
        "--train_annotations, the folder of the images. 'voc': VOCdevkit, or a folder that holds JPEGImages, "
        "Annotations and ImageSets. 'tfds:...': that of TFDS (by default its own choice).",
        identity=False,
        absent="",
    )
    train_annotations: str = option(
        "",
        "JSON file with the objects to train on. By default annotations/instances_SPLIT.json below --data_dir.",
        identity=False,
        absent="",
    )
    eval_annotations: str = option("", "JSON file with the objects to evaluate on.", identity=False, absent="")
    eval_dir: str = option(
        "",
        "Folder of the images of --eval_annotations. By default that of the images to train on.",
        identity=False,
        absent="",
    )
    train_split: str = option(
        "",
        "Split to train on, or several joined by +, as 2007_trainval+2012_trainval. By default train2017 for 'coco', "
        "2007_trainval for 'voc' and train for others. A folder in the layout of VOC that holds no VOC2007 or the "
        "like has splits without a year: trainval.",
        absent="",
    )
    eval_split: str = option(
        "",
        "Split to evaluate on. By default val2017 for 'coco', 2007_test for 'voc', test for 'made' and VOC in TFDS, "
        "and validation for others.",
        absent="",
    )
    class_names: Names = option(
        (),
        "Names of the classes of --dataset=voc, in the order of their numbers. By default VOC's twenty; or, in a "
        "folder that holds no VOC2007 or the like, those in the XML files to train on.",
        absent=(),
    )
    index: Literal["use", "rebuild"] = option(
        "use",
        "Index of a TFDS set: where its records are and what objects they hold. 'rebuild' finds it out again.",
        identity=False,
        absent="use",
    )
    index_dir: str = option(
        "",
        "Folder for indices. By default they lie beside the data, or in ~/.cache/simsiam_tf if that cannot be.",
        identity=False,
        absent="",
    )
    download: bool = option(False, "Let TFDS download and prepare a missing data set.", identity=False, absent=False)
    max_examples: int = option(0, "Number of images to train on, the first ones of the split; 0: all.", absent=0)
    max_bad_fraction: float = option(
        0.01,
        "Largest fraction of unreadable images, and of broken annotations. They are left out; above it the run stops.",
        identity=False,
        absent=0.01,
    )
    exif: Literal["upright", "ignore"] = option(
        "upright",
        "Photographs that were taken with a turned camera. 'upright': turned as the camera noted. 'ignore': as stored. "
        "The boxes must be those of the same images.",
        absent="upright",
    )
    max_pixels: int = option(
        200_000_000,
        "Number of pixels above which an image counts as unreadable.",
        positive=True,
        identity=False,
        absent=200_000_000,
    )
    short_sides: Integers = option(
        (),
        "Lengths in pixels of the shorter side of an image to train on, of which one is drawn. By default 480 to 800 "
        "in steps of 32 for VOC, 640 to 800 for others, and 96 to 160 in steps of 16 for 'made'.",
        positive=True,
        absent=(),
    )
    long_side: int = option(
        1333, "Length in pixels that the longer side has at most; the image is then shrunk.", positive=True, absent=1333
    )
    eval_short_side: int = option(0, "Shorter side in pixels in evaluations; 0: 800, or 128 for 'made'.", absent=0)
    canvases: Literal["auto", "one"] = option(
        "auto",
        "Sizes of batches. 'auto': the smallest of a few that holds the images of the batch, so that a program is "
        "compiled for each. 'one': always the largest, as TPUs need it.",
        absent="auto",
    )
    group_by_shape: bool = option(
        True, "Put wide and tall images into separate batches, which leaves less of a batch empty.", absent=True
    )
    global_batch_size: int = option(16, "Images in a step, over all replicas.", positive=True, absent=16)

    def validate(self) -> None:
        """Checks that the settings belong to the data set, and that images have a size they can have."""
        known = self.dataset in ("coco", "voc", "made") or (self.is_tfds and len(self.dataset) > len(TFDS))
        rule = "--dataset must be coco, voc, made, or a name in TensorFlow Datasets behind tfds:, as in tfds:voc/2007."
        check(known, rule, repr(self.dataset))
        for name in ("train_annotations", "eval_annotations", "eval_dir"):
            given = getattr(self, name)
            check(not given or self.dataset == "coco", f"--{name} needs --dataset=coco.", f"--{name}={given}")
        names = ",".join(self.class_names)
        check(not names or self.dataset == "voc", "--class_names needs --dataset=voc.", f"--class_names={names}")
        check(len(set(self.class_names)) == len(self.class_names), "--class_names must name each class once.", names)
        needs_folder = self.dataset in ("coco", "voc")
        check(not needs_folder or bool(self.data_dir), f"--dataset={self.dataset} needs --data_dir.", "no --data_dir")
        check(self.max_bad_fraction < 1, "--max_bad_fraction must be below 1.", self.max_bad_fraction)
        for side in (*self.sides, self.evaluation_side, self.long_side):
            check(32 <= side <= 8192, "--short_sides, --eval_short_side and --long_side must be 32 to 8192.", side)
        longest = max(*self.sides, self.evaluation_side)
        check(self.long_side >= longest, f"--long_side must be at least the short side, {longest}.", self.long_side)

    @property
    def is_tfds(self) -> bool:
        """Returns whether the data set is one of TensorFlow Datasets."""
        return self.dataset.startswith(TFDS)

    @property
    def is_voc(self) -> bool:
        """Returns whether the data set is Pascal VOC, from its own files or from TensorFlow Datasets."""
        # TFDS takes names in any case, with a configuration or a version behind them.
        return bool(re.fullmatch(r"voc([/:].*)?", self.dataset.removeprefix(TFDS), re.IGNORECASE))

    @property
    def sides(self) -> tuple[int, ...]:
        """Returns the lengths of the shorter side in training, of which one is drawn."""
        return self.short_sides or self._defaults.short_sides

    @property
    def evaluation_side(self) -> int:
        """Returns the length of the shorter side in evaluations."""
        return self.eval_short_side or self._defaults.eval_short_side

    def split(self, part: Literal["train", "eval"]) -> str:
        """Returns the name of the split to train on, or of that to evaluate on."""
        given = self.train_split if part == "train" else self.eval_split
        return given or getattr(self._defaults, f"{part}_split")

    @property
    def images(self) -> DataConfig:
        """Returns the settings of the images alone, for what reads images without their objects."""
        return DataConfig(
            dataset=self.dataset.removeprefix(TFDS),
            data_dir=self.data_dir,
            index=self.index,
            index_dir=self.index_dir,
            download=self.download,
            max_bad_fraction=self.max_bad_fraction,
            exif=self.exif,
            max_pixels=self.max_pixels,
        )

    @property
    def pixels(self) -> Pixels:
        """Returns what the pixels of the images mean."""
        return Pixels(self.exif, max_pixels=self.max_pixels)

    @property
    def _defaults(self) -> _Defaults:
        if self.is_tfds:
            if self.is_voc:
                return dataclasses.replace(_OF_VOC, train_split="train", eval_split="test")
            return dataclasses.replace(_OF_COCO, train_split="train", eval_split="validation")
        return {"voc": _OF_VOC, "coco": _OF_COCO, "made": _OF_MADE}[self.dataset]
