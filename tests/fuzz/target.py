"""What a fuzz target is, and how the answer to one of its cases is judged."""

import pathlib
import random
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "benchmarks" / "robustness"))

from answers import FAULTS, REFUSALS, is_sentence

# What can be wrong with an answer, beside the faults that the other checks know.
WRITES, CODE, RAW, MEMORY = "write outside", "code was run", "raw output", "memory"
ALL_FAULTS = (*FAULTS, WRITES, CODE, RAW, MEMORY)


class WrongError(Exception):
    """Says that a result is wrong, and no word was said of it."""


class Target:
    """One reader of files, with what writes its inputs.

    `make` runs once, in a process of its own, so that it may compute with TensorFlow. `load` runs before the process of
    the cases is forked, so it may import TensorFlow and read files, but compute nothing with it.
    """

    name = ""
    seconds = 30.0
    memory = 1 << 30

    def make(self, folder: pathlib.Path) -> None:
        """Writes the valid seeds into a folder."""

    def load(self, folder: pathlib.Path) -> None:
        """Imports what the reader needs, and reads the seeds."""

    def write(self, folder: pathlib.Path, chance: random.Random) -> str:
        """Writes the input of a case into an empty folder; returns what it is, in a few words."""
        raise NotImplementedError

    def read(self, folder: pathlib.Path) -> str | tuple[str, str]:
        """Reads the input; returns the class of a right result, or the class that another check gave, and its words.

        Raises:
            WrongError: if the result is wrong.
            Exception: as the commands meet it.
        """
        raise NotImplementedError


def class_of(error: BaseException) -> tuple[str, str]:
    """Returns the class of an error, as the commands answer it, and their sentence."""
    from absl import flags

    from simsiam_tf.cli import failures
    from simsiam_tf.cli.entry_point import one_line
    from simsiam_tf.errors import UsageError

    if isinstance(error, WrongError):
        return "silent fault", str(error)
    if isinstance(error, MemoryError):
        return MEMORY, str(error)
    if isinstance(error, flags.Error | UsageError | PermissionError):
        return _sentence(2, one_line(str(error)))
    if isinstance(error, FloatingPointError):
        return _sentence(3, one_line(str(error)))
    explained = failures.sentence(error) if isinstance(error, Exception) else None
    if explained is not None:
        return (MEMORY, explained) if "not enough memory" in explained else _sentence(1, one_line(explained))
    return "traceback", place_of(error)


def _sentence(code: int, said: str) -> tuple[str, str]:
    return (REFUSALS[code] if is_sentence(said) else "no sentence"), said


def place_of(error: BaseException) -> str:
    """Returns the type and words of an error, and the last lines of the package that it went through."""
    places, at = [], error.__traceback__
    while at is not None:
        file = pathlib.Path(at.tb_frame.f_code.co_filename)
        places += [f"{file.name}:{at.tb_lineno}"] if "simsiam_tf" in file.parts else []
        at = at.tb_next
    return f"{type(error).__name__}: {str(error)[:200]!r} at {' > '.join(places[-3:])}"
