"""Progress of long work: a bar for a person, one line for a log file."""

import sys

import keras


def verbosity() -> int:
    """Keras' `verbose`: 1 draws a bar, 2 prints a line at the end."""
    return 1 if sys.stdout.isatty() else 2


def progress_bar(target: int, unit: str = "step") -> keras.utils.Progbar:
    """A progress bar over `target` units; `add(n)` moves it."""
    return keras.utils.Progbar(target, verbose=verbosity(), unit_name=unit)
