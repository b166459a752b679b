"""Shows the package's log messages on the console, as plain sentences."""

import io
import logging
import os
import select
import sys
from typing import Any, TextIO

from absl import flags

from simsiam_tf.config.messages import RESULT
from simsiam_tf.files import printable

# The numbers have the meaning that they have in absl: -1 shows warnings, 0 messages, 1 debugging as well.
_VERBOSITIES = {"quiet": -1, "normal": 0, "debug": 1}
_LEVELS = {-1: RESULT, 0: logging.INFO, 1: logging.DEBUG}
_PREFIXES = ((logging.ERROR, "error: "), (logging.WARNING, "warning: "))


class _VerbosityParser(flags.ArgumentParser):
    """Parses the name of a verbosity."""

    syntactic_help = "|".join(_VERBOSITIES)

    def parse(self, argument: Any) -> int:
        """Returns the number of the verbosity."""
        if argument in _VERBOSITIES.values():  # the default
            return argument
        if argument not in _VERBOSITIES:
            raise ValueError(f"it must be one of {', '.join(_VERBOSITIES)}.")
        return _VERBOSITIES[argument]


class _VerbositySerializer(flags.ArgumentSerializer):
    """Writes the name of a verbosity, as on a command line."""

    def serialize(self, value: Any) -> str:
        """Returns the name of the number."""
        return next(name for name, number in _VERBOSITIES.items() if number == value)


def define_verbosity_flag() -> None:
    """Defines --verbosity.

    absl.logging, which TensorFlow imports, has a flag of the same name with the same numbers. With `allow_override`
    there is no error, whichever of the two is defined first.
    """
    flags.DEFINE(
        _VerbosityParser(),
        "verbosity",
        _VERBOSITIES["normal"],
        "Messages to show. 'quiet': results, warnings and errors. 'normal': progress as well. 'debug': details as "
        "well, with TensorFlow's own messages and the traceback of an error.",
        serializer=_VerbositySerializer(),
        flag_values=flags.FLAGS,
        module_name="Messages",
        allow_override=True,
    )


def verbosity_flag() -> int:
    """Returns the verbosity that the parsed flags ask for: -1 (quiet), 0 (normal) or 1 (debug)."""
    return int(flags.FLAGS.verbosity)


def escape_what_cannot_be_printed() -> None:
    """Makes stdout and stderr write escapes for characters that their encoding lacks, instead of raising.

    This holds for everything that a command prints: messages, --help, progress bars, tables and tracebacks.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


class ConsoleHandler(logging.Handler):
    """Prints messages at once: ordinary ones to stdout, warnings and errors to stderr with a prefix.

    Characters that the stream cannot encode, as in a path that is not valid UTF-8, are written as escapes. So are
    control characters other than the end of a line: names and texts of files are in the messages, and a terminal would
    take them for commands.

    Attributes:
        leaves_stdout: whether ordinary messages go to stderr too, because stdout is for data.
    """

    leaves_stdout = False

    def emit(self, record: logging.LogRecord) -> None:
        """Prints one message."""
        try:
            prefix = next((text for level, text in _PREFIXES if record.levelno >= level), "")
            stream = sys.stderr if prefix or self.leaves_stdout else sys.stdout
            lines = map(printable, self.format(record).split("\n"))
            _print(prefix + "\n".join(lines) + "\n", stream)
        except BrokenPipeError:
            drop_output_if_unread()  # a run of days goes on when the program that showed its messages has ended
        except Exception:
            self.handleError(record)


def _print(text: str, stream: TextIO) -> None:
    encoding = stream.encoding or "utf-8"
    stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
    stream.flush()


def drop_output_if_unread() -> bool:
    """Turns stdout and stderr to nowhere where the program that read them has ended, as `head` does.

    Returns:
        Whether it was so.
    """
    unread = [stream.fileno() for stream in (sys.stdout, sys.stderr) if _is_unread(stream)]
    for descriptor in unread:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, descriptor)
        os.close(nowhere)
    return bool(unread)


def _is_unread(stream: TextIO) -> bool:
    """Returns whether a stream is a pipe or a connection whose other end is closed."""
    try:
        poll = select.poll()
        poll.register(stream.fileno(), 0)  # errors are always reported
        return bool(poll.poll(0))
    except (OSError, ValueError):  # a stream without a descriptor, or a closed one
        return False


def show_messages(verbosity: int = 0) -> None:
    """Shows the messages of simsiam_tf on the console, and no longer anywhere else.

    A second call changes the verbosity.

    Args:
        verbosity: -1 for results, warnings and errors, 0 for progress as well, 1 for details as well.
    """
    logger = logging.getLogger("simsiam_tf")
    if not any(isinstance(handler, ConsoleHandler) for handler in logger.handlers):
        logger.addHandler(ConsoleHandler())
    logger.setLevel(_LEVELS[verbosity])
    # absl gives the root logger a handler when it first logs, which would print every message again.
    logger.propagate = False


def leave_stdout_to_data() -> None:
    """Sends ordinary messages to stderr too, for a command that prints data to stdout."""
    for handler in logging.getLogger("simsiam_tf").handlers:
        if isinstance(handler, ConsoleHandler):
            handler.leaves_stdout = True
