"""Handles SIGTERM and Ctrl-C, so that the step under way can be finished and saved first."""

import logging
import os
import pathlib
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

from simsiam_tf.errors import Stopped

_log = logging.getLogger(__name__)

# The environment variable that tells a command which process started it, and without which process it must end.
STARTED_BY = "SIMSIAM_TF_STARTED_BY"
# The folder that Python finds this package in.
_PACKAGE = str(pathlib.Path(__file__).resolve().parents[2])


class StopSignals:
    """Records SIGTERM and Ctrl-C inside a `with` block, instead of ending the process.

    A second Ctrl-C interrupts at once. Only the main thread may enter the block.

    Example:
        with StopSignals() as signals:
            while not signals.received:
                work()
    """

    def __init__(self) -> None:
        self._number: int | None = None
        self._previous: dict[int, Any] = {}

    @property
    def received(self) -> bool:
        """Returns whether a signal came."""
        return self._number is not None

    @property
    def exit_code(self) -> int:
        """Returns the exit code after the signal that came: 128 plus its number; that of SIGTERM if none came."""
        return 128 + (self._number or signal.SIGTERM)

    def __enter__(self) -> "StopSignals":
        for number in (signal.SIGTERM, signal.SIGINT):
            self._previous[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _note(self, number: int, _: Any) -> None:
        self._number = number
        if number == signal.SIGINT:
            signal.signal(number, self._previous[number])
            _log.info("Interrupted: finishing and saving the step. Press Ctrl-C again to stop at once.")

    def stopped(self, step: int) -> Stopped:
        """Returns the exception to raise after a save. A worker stopped by another worker's signal reports SIGTERM.

        Args:
            step: the step that was saved.
        """
        number = self._number or signal.SIGTERM
        name = signal.Signals(number).name
        return Stopped(f"Stopped by {name}; saved at step {step}. The same command resumes the run.", self.exit_code)


def command_line(name: str) -> list[str]:
    """Returns how a process starts another command of this package, whether that is installed or in a checkout.

    Args:
        name: the name of the command's module in simsiam_tf/cli.
    """
    return [sys.executable, "-m", f"simsiam_tf.cli.{name}"]


def call(command: Sequence[str], environment: Mapping[str, str] | None = None) -> tuple[int, bool]:
    """Runs another command of this package, and waits for its end.

    SIGTERM and Ctrl-C are passed on to the command as SIGTERM, so that it saves its state. A second Ctrl-C ends it at
    once. If this process is killed, the command ends too.

    Args:
        command: the command and its arguments.
        environment: the environment of the command; by default that of this process.

    Returns:
        An exit code, and whether a signal came. After a signal the code is 128 plus its number, whatever the command
        made of it.
    """
    variables = {**(os.environ if environment is None else environment), STARTED_BY: str(os.getpid())}
    # The same package as here, whatever the folder and however this process found it.
    variables["PYTHONPATH"] = os.pathsep.join([_PACKAGE, *filter(None, [variables.get("PYTHONPATH")])])
    with StopSignals() as signals, subprocess.Popen(command, env=variables, start_new_session=True) as process:
        try:
            is_told = False
            while process.poll() is None:
                if signals.received and not is_told:
                    process.terminate()
                    is_told = True
                time.sleep(0.1)
        except BaseException:
            process.kill()
            raise
    return (signals.exit_code, True) if signals.received else (process.returncode, False)
