"""Handles SIGTERM and Ctrl-C, so that the step under way can be finished and saved first."""

import logging
import signal
from typing import Any

from simsiam_tf.errors import Stopped

_log = logging.getLogger(__name__)


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
        return Stopped(f"Stopped by {name}; saved at step {step}. The same command resumes the run.", 128 + number)
