"""Runs any command, from its command line to its exit code."""

import contextlib
import gc
import logging
import os
import re
import sys
import traceback
from collections.abc import Callable, Sequence

from absl import flags

from simsiam_tf.cli import failures, signals
from simsiam_tf.cli.command_line import parse_flags
from simsiam_tf.cli.console import (
    define_verbosity_flag,
    drop_output_if_unread,
    escape_what_cannot_be_printed,
    show_messages,
    verbosity_flag,
)
from simsiam_tf.cli.recipes import list_recipes_if_asked
from simsiam_tf.config.messages import RESULT
from simsiam_tf.errors import NOT_FINITE, Stopped, UsageError
from simsiam_tf.files import printable

_log = logging.getLogger(__name__)

# The greatest length of an error's sentence, in characters.
_LONGEST = 4000
# The exit code after printing to a program that has ended: that of SIGPIPE.
_UNREAD = 128 + 13


def run(define: Callable[[], None], work: Callable[[], None], description: str | None) -> None:
    """Runs a command that takes flags alone, as `run_with_words` does; a word is refused.

    Args:
        define: a function that defines the command's flags.
        work: a function that does the command's work once the flags are parsed.
        description: the text that --help prints above the flags, which is the docstring of the command's module.
    """
    _run(define, work, description)


def run_with_words(define: Callable[[], None], work: Callable[[list[str]], None], description: str | None) -> None:
    """Parses the command line, does the command's work, and exits unless the work succeeds.

    The exit code is 0 after success; 2 if the request cannot be met; 3 if a number is not finite, as after a
    divergence; 1 if the machine fails: a full disk, the network, a lost worker, too little memory. In these cases one
    sentence says why. After a signal it is 128 plus the signal's number, and so it is when what reads the output has
    ended. After any other exception, which is a bug, it is 1, with a traceback.

    Args:
        define: a function that defines the command's flags.
        work: a function that does the command's work once the flags are parsed. It gets the words of the command line,
            which are the arguments that are no flags.
        description: the text that --help prints above the flags, which is the docstring of the command's module.
    """
    words: list[str] = []
    _run(define, lambda: work(words), description, words)


def _run(
    define: Callable[[], None], work: Callable[[], None], description: str | None, words: list[str] | None = None
) -> None:
    """Runs a command, and exits unless its work succeeds. `words` gets the words, or is `None` if none are taken."""
    # The tf.data iterators go now, while their threads can still call Python for the images that they read ahead. At
    # the end of the interpreter they would wait for it forever. After an error, this comes after the except clauses,
    # where Python has dropped the error and the iterators that it holds.
    with signals.ending_the_command():
        code = _exit_code(define, work, description, words)
        with contextlib.suppress(KeyboardInterrupt):
            gc.collect()
    if code:
        sys.exit(code)


def _exit_code(
    define: Callable[[], None], work: Callable[[], None], description: str | None, words: list[str] | None
) -> int:
    """Defines and parses the flags, calls `work`, prints what went wrong, and returns the exit code."""
    try:
        escape_what_cannot_be_printed()
        show_messages()
        define()
        define_verbosity_flag()
        flags.FLAGS.set_gnu_getopt(True)
        if _asks_for_help(sys.argv[1:], takes_words=words is not None):
            print(f"{_as_called(description or '')}\nFlags:{flags.FLAGS.get_help(include_special_flags=False)}")
            return 0
        rest = parse_flags(sys.argv)[1:]
        if list_recipes_if_asked():
            return 0
        show_messages(verbosity_flag())
        if words is not None:
            words += rest
        elif rest:
            raise UsageError(f"Arguments must be flags, as --name=value. Received: {' '.join(rest)}.")
        work()
        return 0
    except (flags.Error, UsageError, PermissionError) as error:
        return _report(str(error), 2)
    except FloatingPointError as error:
        return _report(str(error), NOT_FINITE)
    except ConnectionError as error:
        return _UNREAD if drop_output_if_unread() else _report(str(error), 1)
    except Stopped as stopped:
        _log.log(RESULT, str(stopped))
        return stopped.exit_code
    except KeyboardInterrupt as interruption:
        return _report(*signals.sentence_of(interruption))
    except Exception as error:
        explained = failures.sentence(error)
        if explained is not None:
            return _report(explained, 1)
        traceback.print_exc()  # a bug in this package
        return 1


def _as_called(description: str) -> str:
    """Returns a description whose examples are of the command as it was called: simsiam-train for python train.py."""
    if not os.path.basename(sys.argv[0]).startswith("simsiam-"):
        return description
    return re.sub(r"python (?:-m simsiam_tf\.(?:cli\.)?(\w+)|(\w+)\.py)", r"simsiam-\1\2", description)


def _asks_for_help(arguments: Sequence[str], takes_words: bool) -> bool:
    """Returns whether a command line asks for help. Where words are taken, a later word may be a folder named help."""
    asked = [argument.lstrip("-") in ("h", "help", "helpfull") for argument in arguments]
    if takes_words:
        asked = [is_help and (i == 0 or arguments[i].startswith("-")) for i, is_help in enumerate(asked)]
    return any(asked)


def _report(message: str, code: int) -> int:
    _log.error(one_line(message))
    _log.debug("The error came from here:", exc_info=True)
    return code


def one_line(message: str) -> str:
    """Returns a message as one line that a terminal can show: without control characters, and of bounded length."""
    text = printable(" ".join(message.split()))
    # A value may have thousands of characters.
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST // 2]} [...] {text[-_LONGEST // 2 :]}"
