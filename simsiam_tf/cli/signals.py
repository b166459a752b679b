"""Ends a command after SIGTERM or Ctrl-C in any case: with one sentence, and also where its main thread hangs.

Python calls a handler in the main thread alone, and only between two of its own instructions. While TensorFlow waits
there for data that never come, no handler is called. Another thread therefore hears of each signal too.
"""

import contextlib
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

from simsiam_tf.training.stop_signals import STARTED_BY

_log = logging.getLogger(__name__)

# The seconds that a command has to end after a second Ctrl-C, and after SIGTERM where nothing need be saved.
_AFTER_CTRL_C, _AFTER_SIGTERM = 2.0, 5.0
# The seconds between two looks at whether the command that started this one still runs.
_LOOK = 0.2


class Terminated(KeyboardInterrupt):
    """Ends a command that got SIGTERM, as Ctrl-C does."""


def sentence_of(interruption: KeyboardInterrupt) -> tuple[str, int]:
    """Returns the sentence to print after SIGTERM or Ctrl-C, and the exit code: 128 plus the number of the signal."""
    if isinstance(interruption, Terminated):
        return (
            "Stopped by SIGTERM; the same command goes on from what was saved, if anything was.",
            128 + signal.SIGTERM,
        )
    return "Interrupted; the same command goes on from what was saved, if anything was.", 128 + signal.SIGINT


@contextlib.contextmanager
def ending_the_command() -> Iterator[None]:
    """Lets SIGTERM raise `Terminated` inside a `with` block, and ends the process if its main thread does not.

    Ctrl-C raises KeyboardInterrupt, as always. A second one ends the process after two seconds at the latest.
    Elsewhere than in the main thread nothing is done.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)
    threads = [threading.Thread(target=_watch, args=(read_end,), daemon=True)]
    if (parent := os.environ.pop(STARTED_BY, "")).isdecimal():
        threads.append(threading.Thread(target=_end_with, args=(int(parent),), daemon=True))
    earlier = signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
    signal.signal(signal.SIGTERM, _terminate)
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(earlier)
        os.close(write_end)  # which ends the thread that reads from it
        for number, handler in before.items():
            signal.signal(number, handler)


def _terminate(number: int, _: Any) -> None:
    raise Terminated


def _watch(pipe: int) -> None:
    """Reads the numbers of the signals that this process gets, and sees to it that it ends after them."""
    interruptions = 0
    while received := os.read(pipe, 1):
        if received[0] == signal.SIGINT:
            interruptions += 1
            if interruptions > 1:
                _end(KeyboardInterrupt(), _AFTER_CTRL_C, pipe)
        # During training there is another handler, and the step under way is saved, however long it takes.
        elif received[0] == signal.SIGTERM and signal.getsignal(signal.SIGTERM) is _terminate:
            _end(Terminated(), _AFTER_SIGTERM, pipe)
    os.close(pipe)


def _end(interruption: KeyboardInterrupt, seconds: float, pipe: int) -> None:
    """Ends the process after some seconds, unless its work has ended by then."""
    os.set_blocking(pipe, False)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(0.05)
        with contextlib.suppress(BlockingIOError):
            if not os.read(pipe, 1):
                return
    text, code = sentence_of(interruption)
    _log.error(text)
    _exit(code)


def _end_with(parent: int) -> None:
    """Ends the process once its parent has gone, so that the parent's command can be given again."""
    while os.getppid() == parent:
        time.sleep(_LOOK)
    _log.error("The command that started this one has gone; give that again to resume.")
    _exit(1)


def _exit(code: int) -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
    os._exit(code)
