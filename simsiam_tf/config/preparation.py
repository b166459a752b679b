"""Declares the settings of the preparation of shards."""

import dataclasses

from simsiam_tf.config.fields import SettingsGroup, option
from simsiam_tf.errors import check


@dataclasses.dataclass(frozen=True)
class PrepareConfig(SettingsGroup):
    """Preparation of shards."""

    out: str = option("", "Folder for the shards and index.json. An unfinished one goes on.")
    shard_images: int = option(1000, "Number of images in a shard.", positive=True)
    max_side: int = option(
        0,
        "Length in pixels that the longer side of an image has at most; longer ones are shrunk. 0: as it is. Crops of "
        "shrunk images show less detail than the paper's.",
    )
    quality: int = option(
        95, "Quality, 1 to 100, of the JPEGs of images that are no plain JPEGs yet. The others are copied."
    )

    def validate(self) -> None:
        """Checks that there is a folder, and that JPEGs can have the quality and size."""
        check(bool(self.out), "--out must name the folder for the shards.", "no --out")
        check(1 <= self.quality <= 100, "--quality must be 1 to 100.", self.quality)
        check(self.max_side == 0 or self.max_side >= 8, "--max_side must be at least 8, or 0.", self.max_side)
