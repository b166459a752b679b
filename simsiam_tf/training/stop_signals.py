"""SIGTERM and Ctrl-C: the step under way is finished and saved first."""

import signal

from simsiam_tf.errors import Stopped


class StopSignals:
    """Inside `with`, SIGTERM and the first Ctrl-C are only noted; a second Ctrl-C interrupts at once."""

    def __init__(self):
        self._number: int | None = None
        self._previous: dict = {}

    @property
    def received(self) -> bool:
        """Whether one came."""
        return self._number is not None

    def __enter__(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            self._previous[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *error) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _note(self, number, _):
        self._number = number
        if number == signal.SIGINT:
            signal.signal(number, self._previous[number])
            print("Interrupted: finishing and saving the step; once more to stop at once.", flush=True)

    def stopped(self, step: int) -> Stopped:
        """What to raise once the step is saved; of several workers, each one's, whichever got the signal."""
        number = self._number or signal.SIGTERM
        name = signal.Signals(number).name
        return Stopped(f"Stopped by {name}; saved at step {step}. The same command goes on from there.", 128 + number)
