"""Declares the settings of the images: the data set, their size, and the batch size."""

import dataclasses
from typing import Literal

from simsiam_tf.config.fields import Integers, Numbers, SettingsGroup, option
from simsiam_tf.config.pixels import Pixels
from simsiam_tf.errors import check


@dataclasses.dataclass(frozen=True)
class DataConfig(SettingsGroup):
    """Data set and batch size."""

    dataset: str = option(
        "cifar10",
        "Name in TensorFlow Datasets (TFDS), 'folder' (the images below --data_dir), 'shards' (made of either by "
        "python -m simsiam_tf.cli.prepare), 'shapes' (built in), or 'made' (built in: images with objects, no labels).",
    )
    data_dir: str = option(
        "",
        "Folder of the data: that of TFDS (by default its own choice), for --dataset=folder the folder of images, or "
        "several with commas, and for --dataset=shards that of the shards.",
        identity=False,
    )
    layout: Literal["auto", "splits", "classes", "flat"] = option(
        "auto",
        "Folders below --data_dir. 'auto': splits by their names (train, val, test, ...), and classes in them. "
        "'splits': every folder with a split's name is a split. 'classes': every folder is a class. 'flat': neither.",
        absent="auto",
    )
    file_list: str = option(
        "",
        "File with the path of an image in each line, relative to --data_dir: the images to use.",
        identity=False,
        absent="",
    )
    labels: str = option(
        "", "CSV file with a path and a label in each line, which replace the class folders.", identity=False, absent=""
    )
    holdout: float = option(
        0.0,
        "Share of the images of a folder without a split to evaluate on that is held out for that; 0: none.",
        absent=0.0,
    )
    index: Literal["use", "rebuild"] = option(
        "use",
        "Index of a large data set: what its files hold, found out once. 'rebuild' finds it out again.",
        identity=False,
        absent="use",
    )
    index_dir: str = option(
        "",
        "Folder for indices. By default they lie beside the data, or in ~/.cache/simsiam_tf if that cannot be.",
        identity=False,
        absent="",
    )
    input: Literal["auto", "python", "tensorflow"] = option(
        "auto",
        "What reads images to pre-train on that are not held in memory. 'python': Pillow, in any order. 'tensorflow': "
        "TensorFlow alone, for shards, which it shuffles in blocks. 'auto': 'tensorflow' for shards, else 'python'.",
        absent="auto",
    )
    download: bool = option(False, "Let TFDS download and prepare a data set that is missing.", identity=False)
    image_feature: str = option(
        "",
        "Feature of a TFDS data set that is the image, such as image/left. By default image, or the only one.",
        absent="",
    )
    label_feature: str = option(
        "", "Feature of a TFDS data set that is the label, such as style/name. By default label.", absent=""
    )
    train_split: str = option("train", "Split (or sub-folder) to train on.")
    eval_split: str = option(
        "auto", "Split (or sub-folder) to evaluate on; 'auto': the first of validation, val and test that exists."
    )
    max_examples: int = option(0, "Number of images to pre-train on, the first ones of the split; 0: all.")
    data_changed: Literal["refuse", "continue"] = option(
        "refuse",
        "What to do if the images are not those that the run began with. 'continue': go on with them; the step and the "
        "length of the schedule stay.",
        identity=False,
        absent="refuse",
    )
    max_bad_fraction: float = option(
        0.01,
        "Largest fraction of unreadable images. Unreadable images are skipped; above this fraction the run stops.",
        identity=False,
    )
    exif: Literal["upright", "ignore"] = option(
        "upright",
        "Photographs that were taken with a turned camera. 'upright': turned as the camera noted. 'ignore': as stored, "
        "as torchvision reads them.",
        absent="ignore",
    )
    alpha: str = option(
        "drop",
        "Transparent images. 'drop': without their transparency. 'white', 'black', '#rrggbb': on this colour.",
        absent="drop",
    )
    value_range: Numbers = option(
        (),
        "Two numbers, the values of black and white in images whose type does not say, as floating-point TIFF files.",
        signed=True,
        absent=(),
    )
    channels: Integers = option(
        (),
        "Channels, counted from 0, that are red, green and blue: 3,2,1 for example. By default the first three.",
        absent=(),
    )
    max_pixels: int = option(
        200_000_000,
        "Number of pixels above which an image counts as unreadable.",
        positive=True,
        identity=False,
        absent=200_000_000,
    )
    image_size: int = option(224, "Side of the square views, in pixels.")
    global_batch_size: int = option(
        512, "Images (not views) in a step, over all replicas; multiplied by --batch_scale."
    )

    def validate(self) -> None:
        """Checks the limits of the sizes, and that a folder of images is named if one is used."""
        check(self.image_size >= 8, "--image_size must be at least 8.", self.image_size)
        check(self.max_bad_fraction < 1, "--max_bad_fraction must be below 1.", self.max_bad_fraction)
        check(self.global_batch_size >= 2, "--global_batch_size must be at least 2.", self.global_batch_size)
        check(
            self.dataset != "folder" or bool(self.data_dir or self.file_list),
            "--dataset=folder needs --data_dir, the folder of images.",
            "no --data_dir",
        )
        for name in ("file_list", "labels", "holdout"):
            given = getattr(self, name)
            check(not given or self.dataset == "folder", f"--{name} needs --dataset=folder.", f"--{name}={given}")
        check(self.layout == "auto" or self.dataset == "folder", "--layout needs --dataset=folder.", self.layout)
        check(self.holdout < 1, "--holdout must be below 1.", self.holdout)
        check(
            not self.holdout or self.eval_split == "auto",
            "--holdout and --eval_split cannot both say what to evaluate on.",
            f"--eval_split={self.eval_split}",
        )
        check(
            self.input != "tensorflow" or self.dataset != "folder",
            "--input=tensorflow reads shards; python -m simsiam_tf.cli.prepare makes them of a folder.",
            "--dataset=folder",
        )
        for name, plain in (("alpha", "drop"), ("value_range", ()), ("channels", ())):
            given = getattr(self, name)
            check(
                given == plain or self.dataset != "shards",
                f"--{name} is applied when shards are made, by simsiam_tf.cli.prepare.",
                f"--dataset=shards --{name}={given}",
            )
        _ = self.pixels  # its values are checked as it is made

    @property
    def reads_blocks(self) -> bool:
        """Returns whether TensorFlow alone reads the images to pre-train on, from shards and in blocks."""
        return self.dataset == "shards" and self.input != "python"

    @property
    def pixels(self) -> Pixels:
        """Returns what the pixels of the images mean."""
        return Pixels(self.exif, self.alpha, self.value_range, self.channels, self.max_pixels)
