"""Progress of long work: a bar for a person, one line for a log file."""

import sys

import keras


def verbosity() -> int:
    """Returns Keras' `verbose`: 1, a bar, on a terminal; else 2, a line at the end."""
    return 1 if sys.stdout.isatty() else 2


def progress_bar(target: int, unit: str = "step") -> keras.utils.Progbar:
    """Makes a progress bar over `target` units, which `add(n)` moves."""
    return keras.utils.Progbar(target, verbose=verbosity(), unit_name=unit)
