"""Shows the progress of long work: as a bar in a terminal, as one line in a log file."""

import sys

import keras


def verbosity() -> int:
    """Returns the value of Keras' `verbose`: 1 (a bar) in a terminal, 2 (one line at the end) elsewhere."""
    return 1 if sys.stdout.isatty() else 2


def progress_bar(target: int, unit: str = "step") -> keras.utils.Progbar:
    """Makes a progress bar, which moves by n units when its `add(n)` is called.

    Args:
        target: the number of units of the whole work.
        unit: the name of one unit.
    """
    return keras.utils.Progbar(target, verbose=verbosity(), unit_name=unit)
