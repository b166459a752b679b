"""Declares the settings of the comparison of runs."""

import dataclasses
from typing import Literal

from simsiam_tf.config.fields import SettingsGroup, option

# The columns of the table of runs.
Column = Literal["name", "recipe", "commit", "data", "state", "knn", "ap", "linear", "speed"]


@dataclasses.dataclass(frozen=True)
class RunsConfig(SettingsGroup):
    """Comparison of runs."""

    json: bool = option(False, "Print what 'list' or 'compare' finds as JSON to stdout, and nothing else there.")
    sort: Column = option(
        "name",
        "Column of 'list' by which the runs are sorted: texts by the alphabet, numbers with the best first. 'ap' is "
        "the average precision of runs of transfer.py.",
    )
    out: str = option(
        "",
        "File that 'show' writes its report to. By default that of several runs is comparison.html in the folder that "
        "they have in common, and for one run none is written.",
    )
