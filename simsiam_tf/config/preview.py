"""Declares the settings of the preview of views."""

import dataclasses

from simsiam_tf.config.fields import SettingsGroup, option


@dataclasses.dataclass(frozen=True)
class PreviewConfig(SettingsGroup):
    """The picture."""

    out: str = option("preview.png", "PNG file to write; an existing one is not overwritten.")
    num_images: int = option(8, "Images, one in each column.", positive=True)
    num_epochs: int = option(3, "Epochs whose views are drawn, two rows each.", positive=True)
