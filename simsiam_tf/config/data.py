"""Declares the settings of the images: the data set, their size, and the batch size."""

import dataclasses

from simsiam_tf.config.fields import SettingsGroup, option
from simsiam_tf.errors import check


@dataclasses.dataclass(frozen=True)
class DataConfig(SettingsGroup):
    """Data set and batch size."""

    dataset: str = option(
        "cifar10", "Name in TensorFlow Datasets (TFDS), 'folder' (the images below --data_dir), or 'shapes' (built in)."
    )
    data_dir: str = option(
        "",
        "Folder of the data: that of TFDS (by default its own choice), or the folder of images for --dataset=folder.",
        identity=False,
    )
    download: bool = option(False, "Let TFDS download and prepare a data set that is missing.", identity=False)
    train_split: str = option("train", "Split (or sub-folder) to train on.")
    eval_split: str = option(
        "auto", "Split (or sub-folder) to evaluate on; 'auto': the first of validation, val and test that exists."
    )
    max_examples: int = option(0, "Number of images to pre-train on, the first ones of the split; 0: all.")
    max_bad_fraction: float = option(
        0.01,
        "Largest fraction of unreadable images. Unreadable images are skipped; above this fraction the run stops.",
        identity=False,
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
            self.dataset != "folder" or bool(self.data_dir),
            "--dataset=folder needs --data_dir, the folder of images.",
            "no --data_dir",
        )
