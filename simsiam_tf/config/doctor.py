"""Declares the settings of the doctor."""

import dataclasses

from simsiam_tf.config.fields import SettingsGroup, option


@dataclasses.dataclass(frozen=True)
class DoctorConfig(SettingsGroup):
    """Doctor."""

    json: bool = option(False, "Print the rows and their verdict as JSON to stdout, and nothing else there.")
