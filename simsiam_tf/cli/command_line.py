"""Parses a command line, with its flagfiles, and answers every mistake in it in one sentence."""

import itertools
import os
import pathlib
import stat
from collections.abc import Sequence

from absl import flags

from simsiam_tf.cli.recipes import with_flagfiles
from simsiam_tf.errors import UsageError, check
from simsiam_tf.files import is_in_bucket, read_regular

# Flagfiles may come from elsewhere, as recipes of others do.
_MOST_FILES, _LONGEST_FILE = 100, 1 << 20
_TERMINALS = ("/dev/pts/", "/dev/tty")


def parse_flags(arguments: Sequence[str]) -> list[str]:
    """Parses a command line into `absl.flags.FLAGS`.

    Args:
        arguments: the command line; the first argument is the name of the command.

    Returns:
        The name of the command, and the arguments that are no flags.

    Raises:
        UsageError: if there is no such flag, it cannot have its value, a flagfile cannot be read, or there is no such
            recipe.
    """
    arguments = [*arguments[:1], *with_flagfiles(arguments[1:])]
    read: list[str] = []
    for file in flagfiles(arguments[1:]):
        _check_flagfile(file, (), read)
    try:
        rest = flags.FLAGS(arguments)
    except flags.Error as error:
        raise UsageError(_as_sentence(str(error))) from error
    except RecursionError as error:  # absl compares the name with every other to suggest one
        raise UsageError("There is no flag of such a long name; --help lists the flags.") from error
    except ValueError as error:  # --noresume=1
        raise UsageError(f"{str(error).rstrip('.')}. Received: {' '.join(arguments[1:])}.") from error
    # Those of the command line have been replaced, so this one is in a file.
    if "recipe" in flags.FLAGS and flags.FLAGS["recipe"].present:
        raise UsageError(
            "--recipe goes on the command line; a flagfile includes another one by --flagfile. "
            f"Received: --recipe={flags.FLAGS.recipe} in a flagfile."
        )
    return rest


def _as_sentence(message: str) -> str:
    """Returns absl's message as a sentence in the words of this package."""
    if message == "--flagfile with no argument":
        return "--flagfile must have the path of a file after it. Received: nothing."
    start, is_choice, choices = message.partition(" value should be one of <")
    if is_choice:
        return f"{start} it must be one of {choices.rstrip('>').replace('|', ', ')}."
    start, is_boolean, _ = message.partition(" ('Non-boolean argument to boolean flag'")
    if is_boolean:
        return f"{start} it must be true or false."
    return message if message.endswith((".", "?")) else f"{message}."


def flagfiles(arguments: Sequence[str]) -> list[str]:
    """Returns the paths of the flagfiles that arguments name, as `--flagfile=FILE`, `--flagfile FILE` or a recipe."""
    pairs = itertools.pairwise([*with_flagfiles(arguments), ""])
    return [a.partition("=")[2] or b for a, b in pairs if a.startswith("-") and _name(a) == "flagfile"]


def _name(argument: str) -> str:
    return argument.lstrip("-").partition("=")[0]


def _check_flagfile(file: str, above: tuple[str, ...], read: list[str]) -> None:
    """Checks that a flagfile and those that it includes can be read.

    A pipe that the command line names, as of `<(...)` in a shell, can be read only once, so it is left to the parser.

    Args:
        file: the path of the file.
        above: the real paths of the files that include it.
        read: gets the path. Files that include each other twice could be read more often than there is time for.
    """
    check(not is_in_bucket(file), "--flagfile must be a file of this machine; copy it here first.", file)
    read.append(file)
    check(len(read) <= _MOST_FILES, f"A command line may include flagfiles {_MOST_FILES} times at most.", file)
    path = pathlib.Path(os.path.expanduser(file))
    if not file or _is_pipe(path, bool(above)):
        return
    try:
        lines = read_regular(path, _LONGEST_FILE).decode().splitlines()
    except OSError as error:
        raise UsageError(f"--flagfile must be a file that can be read ({error.strerror}). Received: {file}.") from error
    except ValueError as error:
        raise UsageError(f"--flagfile must be a text file with a flag in each line. Received: {file}.") from error
    real = os.path.realpath(path)
    if real in above:
        raise UsageError(f"A flagfile must not include itself. Received: {' includes '.join([*above, real])}.")
    for line in lines:
        for included in flagfiles([line.strip()]):
            _check_flagfile(included, (*above, real), read)


def _is_pipe(path: pathlib.Path, is_included: bool) -> bool:
    """Returns whether a flagfile that the command line names is a pipe or a terminal. A device would never end."""
    try:
        mode, real = os.stat(path).st_mode, os.path.realpath(path)
    except (OSError, ValueError):
        return False
    is_terminal = stat.S_ISCHR(mode) and (real == os.devnull or real.startswith(_TERMINALS))
    return not is_included and (stat.S_ISFIFO(mode) or is_terminal)
