"""Runs checks one after the other in child processes, and ends a child whose check takes too long.

What counts is the time of the check itself, from the moment its module is loaded until it answers. To start Python and
to load TensorFlow does not count, since on a slow machine that alone takes half a minute; it has a limit of its own.
What TensorFlow does when it first uses a device does count.
"""

import contextlib
import json
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import IO, Any

from simsiam_tf.doctor.checks import NOT_MEASURED, Asked, Check, Outcome, Result
from simsiam_tf.files import printable

# Seconds that the module of a check may take to load.
LOADING_LIMIT = 240.0
# Seconds to wait for a process that was killed. The system may keep one that waits for a disk.
_BURIAL = 5.0
# The greatest length of the last words of a process, in characters.
_LAST_WORDS = 200


class TooSlowError(Exception):
    """Reports that a child process did not answer in time. The message says what the process was doing."""


class DiedError(Exception):
    """Reports that a child process ended without an answer. The message has its last words."""


class Child:
    """Runs checks in one process.

    Args:
        environment: the environment of the process.
        limit: the seconds that a check may take.
        loading_limit: the seconds that a check's module may take to load.
        shows_all: whether what the process prints is shown on stderr; otherwise only its last words are kept.
    """

    def __init__(
        self, environment: Mapping[str, str], limit: float, loading_limit: float, shows_all: bool = False
    ) -> None:
        self._limit, self._loading_limit = limit, loading_limit
        self._words: IO[bytes] | None = None if shows_all else tempfile.TemporaryFile()  # noqa: SIM115 - until `end`
        self._process = subprocess.Popen(
            [sys.executable, "-m", "simsiam_tf.doctor.child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._words,
            env=dict(environment),
            start_new_session=True,  # Ctrl-C is meant for the command, which then ends its children
        )
        self._lines: queue.Queue[bytes] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def run(self, check: Check, asked: Asked) -> Outcome:
        """Runs a check.

        Args:
            check: the check.
            asked: the run and the options that the check judges.

        Raises:
            TooSlowError: if it, or the loading of its module, takes too long. The process goes on.
            DiedError: if the process ends without an answer.
        """
        request = {
            "function": check.function,
            "config": asked.config.to_dict() if asked.config is not None else None,
            "has_workdir": asked.has_workdir,
            "facts": dict(asked.facts),
        }
        stdin: Any = self._process.stdin
        with contextlib.suppress(BrokenPipeError):  # its end is noticed when it gives no answer
            stdin.write(f"{json.dumps(request)}\n".encode())
            stdin.flush()
        self._answer(self._loading_limit, f"its modules were not loaded within {self._loading_limit:g} s")
        answer = self._answer(self._limit, f"it took more than {self._limit:g} s; --check_seconds allows more")
        return Outcome(answer["state"], answer["value"], answer["advice"], answer["facts"])

    def end(self) -> None:
        """Ends the process at once, whatever it is doing."""
        self._process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_BURIAL)
        with contextlib.suppress(OSError):
            for stream in (self._process.stdin, self._words):
                if stream is not None:
                    stream.close()

    def _read(self) -> None:
        stdout: Any = self._process.stdout
        for line in stdout:
            self._lines.put(line)
        self._lines.put(b"")

    def _answer(self, seconds: float, too_slow: str) -> dict[str, Any]:
        try:
            line = self._lines.get(timeout=seconds)
        except queue.Empty:
            raise TooSlowError(too_slow) from None
        if not line:
            raise DiedError(self._last_words())
        return json.loads(line)

    def _last_words(self) -> str:
        code = self._process.wait()
        known = -code in set(signal.Signals)
        reason = f"the process died of {signal.Signals(-code).name}" if known else f"the process ended with code {code}"
        words = b""
        if self._words is not None:
            self._words.seek(0)
            words = self._words.read()
        lines = [line for line in words.decode(errors="backslashreplace").splitlines() if line.strip()]
        return printable(f"{reason}: {lines[-1].strip()[:_LAST_WORDS]}" if lines else reason)


class Runner:
    """Runs checks in their order.

    Args:
        checks: the checks.
        asked: the run and the options that the checks judge.
        environment: the environment of the child processes.
        known: outcomes that are known already, by the names of their checks.
        limit: the seconds that a check may take.
        loading_limit: the seconds that a check's module may take to load.
        shows_all: whether what the child processes print is shown on stderr.
    """

    def __init__(
        self,
        checks: Sequence[Check],
        asked: Asked,
        environment: Mapping[str, str],
        *,
        known: Mapping[str, Outcome] | None = None,
        limit: float = 30.0,
        loading_limit: float = LOADING_LIMIT,
        shows_all: bool = False,
    ) -> None:
        self._checks, self._asked, self._environment, self._known = checks, asked, environment, known or {}
        self._limit, self._loading_limit, self._shows_all = limit, loading_limit, shows_all
        self._children: dict[str, Child] = {}
        self._facts: dict[str, Any] = dict(asked.facts)
        # The checks that have no result that others could use.
        self._failed: set[str] = set()

    def results(self) -> Iterator[Result]:
        """Yields the row of each check once it is done."""
        for check, outcome in zip(self._checks, self.outcomes(), strict=True):
            yield Result(check.name, outcome.state, outcome.value, outcome.advice)

    def outcomes(self) -> Iterator[Outcome]:
        """Yields the outcome of each check once it is known."""
        try:
            for number, check in enumerate(self._checks):
                outcome = self._outcome(check)
                if all(later.process != check.process for later in self._checks[number + 1 :]):
                    self._end(check.process)
                yield outcome
        finally:
            for process in list(self._children):
                self._end(process)

    @property
    def facts(self) -> Mapping[str, Any]:
        """Returns the facts of the checks so far, by name."""
        return self._facts

    def _outcome(self, check: Check) -> Outcome:
        if check.of_run and self._asked.config is None:
            return Outcome("not asked", "needs the flags of a run")
        if check.name in self._known:
            self._failed.add(check.name)
            return self._known[check.name]
        missing = [name for name in check.needs if name in self._failed]
        if missing:
            self._failed.add(check.name)
            return Outcome("warn", NOT_MEASURED, f"see the row {missing[0]!r}")
        try:
            asked = Asked(self._asked.config, self._asked.has_workdir, self._facts)
            outcome = self._child(check.process).run(check, asked)
        except TooSlowError as error:
            self._end(check.process)
            outcome = Outcome("warn", NOT_MEASURED, str(error))
            self._failed.add(check.name)
        except DiedError as error:
            self._end(check.process)
            outcome = Outcome("fail", str(error), "run it with --verbosity=debug to see all that the process printed")
        if outcome.state == "fail":
            self._failed.add(check.name)
        self._facts |= outcome.facts
        return outcome

    def _child(self, process: str) -> Child:
        if process not in self._children:
            self._children[process] = Child(self._environment, self._limit, self._loading_limit, self._shows_all)
        return self._children[process]

    def _end(self, process: str) -> None:
        child = self._children.pop(process, None)
        if child is not None:
            child.end()
