"""The settings of the preview of views."""

import dataclasses

from simsiam_tf.config.fields import Validated, option
from simsiam_tf.errors import check


@dataclasses.dataclass(frozen=True)
class PreviewConfig(Validated):
    """The picture."""

    out: str = option("preview.png", "PNG file to write; an existing one is not overwritten.")
    num_images: int = option(8, "Images, one in each column.")
    num_epochs: int = option(3, "Epochs whose views are drawn, two rows each.")

    def validate(self):
        for name in ("num_images", "num_epochs"):
            check(getattr(self, name) > 0, f"--{name} must be positive.", getattr(self, name))
