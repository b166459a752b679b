"""Declares the settings of the preview of views."""

import dataclasses

from simsiam_tf.config.fields import SettingsGroup, option


@dataclasses.dataclass(frozen=True)
class PreviewConfig(SettingsGroup):
    """Picture of the views."""

    out: str = option("preview.png", "PNG file to write; an existing file is not overwritten.")
    num_images: int = option(8, "Number of images, one in each column.", positive=True)
    num_epochs: int = option(3, "Number of epochs whose views are drawn, in two rows each.", positive=True)
