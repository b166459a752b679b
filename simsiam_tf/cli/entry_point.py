"""How every command starts and ends: from the command line to the exit code."""

import gc
import sys
import traceback
from collections.abc import Callable

from absl import flags

from simsiam_tf.errors import Stopped, UsageError


def run(define: Callable[[], None], work: Callable[[], None], description: str | None) -> None:
    """Parses the command line, calls `work`, and exits.

    The exit code is 0 after success. It is 2 for a request that cannot be met, 3 for a run that diverged and 1 for a
    run that lost a worker; each prints one sentence. After a signal it is 128 and the signal's number.

    Args:
        define: a function that defines the command's flags.
        work: a function that does the command's work once the flags are parsed.
        description: the text that --help prints above the flags; the docstring of the command's module.
    """
    define()
    flags.FLAGS.set_gnu_getopt(True)
    if any(argument.lstrip("-") in ("h", "help", "helpfull") for argument in sys.argv[1:]):
        print(f"{description}\nFlags:{flags.FLAGS.get_help(include_special_flags=False)}")
        sys.exit(0)
    # Exiting only after the except clause lets go of the error, and with it of tf.data's iterators: left to the
    # interpreter's end, their threads would wait for Python for ever.
    code = _exit_code(work)
    if code:
        gc.collect()
        sys.exit(code)


def _exit_code(work: Callable[[], None]) -> int:
    """Calls `work`, prints what went wrong, and returns the exit code."""
    try:
        rest = flags.FLAGS(sys.argv)[1:]
        if rest:
            raise UsageError(f"Arguments must be flags, as --name=value. Received: {' '.join(rest)}.")
        work()
        return 0
    except (flags.Error, UsageError, PermissionError) as error:
        return _report(str(error), 2)
    except FloatingPointError as error:
        return _report(str(error), 3)
    except ConnectionError as error:
        return _report(str(error), 1)
    except Stopped as stopped:
        print(stopped)
        return stopped.exit_code
    except KeyboardInterrupt:
        return _report("Interrupted; give the same command again to go on.", 130)
    except Exception:  # a mistake of ours
        traceback.print_exc()
        return 1


def _report(message: str, code: int) -> int:
    print(f"error: {' '.join(message.split())}", file=sys.stderr)
    return code
