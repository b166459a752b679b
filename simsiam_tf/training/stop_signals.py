"""SIGTERM and Ctrl-C: the step under way is finished and saved first."""

import signal
from typing import Any

from simsiam_tf.errors import Stopped


class StopSignals:
    """Notes SIGTERM and the first Ctrl-C while inside `with`. A second Ctrl-C interrupts at once."""

    def __init__(self) -> None:
        self._number: int | None = None
        self._previous: dict[int, Any] = {}

    @property
    def received(self) -> bool:
        """Whether a signal came."""
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
            print("Interrupted: finishing and saving the step; once more to stop at once.", flush=True)

    def stopped(self, step: int) -> Stopped:
        """Returns what to raise once a step is saved. A worker that got no signal itself stops as by SIGTERM."""
        number = self._number or signal.SIGTERM
        name = signal.Signals(number).name
        return Stopped(f"Stopped by {name}; saved at step {step}. The same command goes on from there.", 128 + number)
