"""Declares the settings of the doctor."""

import dataclasses

from simsiam_tf.config.fields import Names, SettingsGroup, option


@dataclasses.dataclass(frozen=True)
class DoctorConfig(SettingsGroup):
    """Doctor."""

    json: bool = option(False, "Print the rows and their verdict as JSON to stdout, and nothing else there.")
    checks: Names = option((), "Names of the checks to run, with those that they need; by default all.")
    check_seconds: float = option(
        30.0,
        "Seconds that a check may take before it counts as not measured. TensorFlow's loading is not counted.",
        positive=True,
    )
