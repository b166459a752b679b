"""Declares the settings of the images: the data set, their size, and the batch size."""

import dataclasses

from simsiam_tf.config.fields import SettingsGroup, option
from simsiam_tf.errors import check


@dataclasses.dataclass(frozen=True)
class DataConfig(SettingsGroup):
    """The images."""

    dataset: str = option(
        "cifar10", "A name in TensorFlow Datasets, 'folder' (the images under --data_dir), or 'shapes' (built in)."
    )
    data_dir: str = option(
        "",
        "Where the data set is: TFDS's directory, or the folder of images. Empty: TFDS's own default.",
        identity=False,
    )
    download: bool = option(False, "Let TFDS download and prepare a data set that is not there yet.", identity=False)
    train_split: str = option("train", "Split (or sub-folder) that is trained on.")
    eval_split: str = option("auto", "Split that is evaluated; 'auto': validation, val or test, the first there is.")
    max_examples: int = option(0, "Pre-train on only the first so many images; 0: on all.")
    max_bad_fraction: float = option(
        0.01, "Stop when more than this share of the images cannot be read; fewer are skipped.", identity=False
    )
    image_size: int = option(224, "Side of the square views, in pixels.")
    global_batch_size: int = option(512, "Images, not views, per step over all replicas; times --batch_scale.")

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
