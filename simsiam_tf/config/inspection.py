"""Declares the settings of the inspection of a data set."""

import dataclasses

from simsiam_tf.config.fields import SettingsGroup, option
from simsiam_tf.errors import check

# Hashes of different pictures begin to be this close.
_MOST_BITS = 12


@dataclasses.dataclass(frozen=True)
class InspectConfig(SettingsGroup):
    """Inspection of the images."""

    out: str = option(
        "", "Folder to make, for inspect.html, inspect.txt, inspect.json and odd.png. By default nothing is written."
    )
    json: bool = option(False, "Print the findings as JSON to stdout, and nothing else there.")
    sample: int = option(5000, "Number of images of each split whose pixels are read, drawn at random; 0: all.")
    near_bits: int = option(
        6, "Number of bits, of 144, in which the perceptual hashes of near-duplicates may differ; 12 at most."
    )
    compare_gib: int = option(
        32, "GiB to read at most, to compare files of the same size and the same end. What is beyond is said."
    )
    max_names: int = option(20, "Names to print for each finding; 0: all. --json and --out always have all.")

    def validate(self) -> None:
        """Checks that near-duplicates are near."""
        check(self.near_bits <= _MOST_BITS, f"--near_bits must be at most {_MOST_BITS}.", self.near_bits)
