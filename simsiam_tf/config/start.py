"""Declares the settings of the start of a run, which are no part of the run itself."""

import dataclasses

from simsiam_tf.config.fields import SettingsGroup, option


@dataclasses.dataclass(frozen=True)
class StartConfig(SettingsGroup):
    """Start of the run.

    Attributes:
        dry_run: whether to stop before the first step.
        budget_minutes: the time that the whole run may take; 0 sets no limit.
    """

    dry_run: bool = option(
        False,
        "Say what would be trained, and how long it would take, as measured on three steps; train nothing, and write "
        "nothing.",
    )
    budget_minutes: float = option(
        0.0,
        "Minutes that the whole run may take, with its report; 0: no limit. It is for --dataset=folder without a "
        "recipe, where train.py chooses the settings.",
    )
