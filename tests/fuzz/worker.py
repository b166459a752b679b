"""Runs the cases of a target in a forked process with limits of time and memory, which is started anew if it dies."""

import contextlib
import faulthandler
import io
import json
import logging
import multiprocessing
import os
import pathlib
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
from typing import Any

from tests.fuzz.guard import Guard
from tests.fuzz.target import CODE, MEMORY, RAW, WRITES, Target, class_of

# After so many cases a process is replaced, so that what a library keeps does not add up to the limit of memory.
_CASES = 4000


# So many times the seconds of a target may pass while its process gets no core.
_PATIENCE = 20


def _cpu_seconds(pid: int) -> float:
    """Returns the seconds of all cores that a process has used."""
    try:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _wants_a_core(pid: int) -> bool:
    """Returns whether a thread of a process runs, or waits for a core or the disk."""
    states = []
    for file in pathlib.Path(f"/proc/{pid}/task").glob("*/stat"):
        with contextlib.suppress(OSError):
            states.append(file.read_text().rpartition(")")[2].split()[0])
    return bool({"R", "D"}.intersection(states))


class Worker:
    """Runs the cases of a target one after another.

    Args:
        target: the target, whose `load` was called.
        seed: the seed of the cases.
        folder: the folder that holds the files of the cases.
    """

    def __init__(self, target: Target, seed: int, folder: pathlib.Path) -> None:
        self._target, self._seed, self._folder = target, seed, folder
        self._pid, self._left = 0, 0
        self._log = folder / "log.txt"

    def run(self, number: int) -> dict[str, Any]:
        """Runs a case; returns its class, what was said, and what it is."""
        if not self._left:
            self.end()
        if not self._pid:
            self._start()
        self._left -= 1
        self._pipe.send_bytes(str(number).encode())
        if not self._waits():
            os.kill(self._pid, signal.SIGUSR1)  # the stacks of all threads go into the log
            time.sleep(0.5)
            self.end()
            return {"class": "hang", "said": self._last_words(), "what": self._what()}
        try:
            return json.loads(self._pipe.recv_bytes())
        except EOFError:
            code = self._wait()
            words = self._last_words()
            kind = MEMORY if "MemoryError" in words or "bad_alloc" in words else "died"
            return {"class": kind, "said": f"exit {code}: {words}", "what": self._what()}

    def _waits(self) -> bool:
        """Waits for an answer; returns whether there is one.

        On a machine that others use, a process that gets no core is no process that hangs: it hangs if it has used the
        time of the target up, or if none of its threads wants a core.
        """
        used, limit = _cpu_seconds(self._pid), self._target.seconds
        for _ in range(_PATIENCE):
            if self._pipe.poll(limit):
                return True
            if _cpu_seconds(self._pid) - used > limit or not _wants_a_core(self._pid):
                return False
        return False

    def end(self) -> None:
        """Ends the process."""
        if self._pid:
            os.kill(self._pid, signal.SIGKILL)
            self._wait()

    def _last_words(self) -> str:
        lines = self._log.read_text("utf-8", "backslashreplace").splitlines() if self._log.exists() else []
        return " | ".join(line.strip() for line in lines if line.strip())[-600:]

    def _what(self) -> str:
        file = self._folder / "what.txt"
        return file.read_text() if file.exists() else ""

    def _wait(self) -> int:
        _, status = os.waitpid(self._pid, 0)
        self._pid = 0
        self._pipe.close()
        return os.waitstatus_to_exitcode(status)

    def _start(self) -> None:
        self._pipe, theirs = multiprocessing.Pipe()
        self._left = _CASES
        sys.stdout.flush()
        self._pid = os.fork()
        if self._pid:
            theirs.close()
            return
        self._pipe.close()
        try:
            self._serve(theirs)
        finally:
            os._exit(0)

    def _serve(self, pipe: Any) -> None:
        arena = self._folder / "arena"
        shutil.rmtree(arena, ignore_errors=True)
        case = arena / "a" / "b" / "case"
        for folder in (case.parent, arena / "home", arena / "cwd", arena / "tmp"):
            folder.mkdir(parents=True)
        (arena / "a" / "outside.txt").write_text("nobody writes here")
        os.environ |= {"HOME": str(arena / "home"), "TMPDIR": str(arena / "tmp")}
        tempfile.tempdir = str(arena / "tmp")
        os.chdir(arena / "cwd")
        sys.dont_write_bytecode = True
        log = os.open(self._log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for number in (1, 2):
            os.dup2(log, number)
        faulthandler.register(signal.SIGUSR1, file=2, all_threads=True)
        used = int(pathlib.Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
        resource.setrlimit(resource.RLIMIT_AS, (used + self._target.memory,) * 2)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        runner = Runner(self._target, self._seed, arena, case)
        while True:
            number = int(pipe.recv_bytes())
            os.truncate(self._log, 0)
            pipe.send_bytes(json.dumps(runner.run(number, self._folder / "what.txt")).encode())


class Runner:
    """Runs single cases in this process."""

    def __init__(self, target: Target, seed: int, arena: pathlib.Path, case: pathlib.Path) -> None:
        from simsiam_tf.cli.console import ConsoleHandler

        self._target, self._seed, self._case = target, seed, case
        self._guard = Guard(arena, case)
        self._printed = io.StringIO()
        handler, logger = ConsoleHandler(), logging.getLogger("simsiam_tf")
        logger.handlers[:], logger.propagate = [handler], False
        logger.setLevel(logging.INFO)

    def run(self, number: int, what: pathlib.Path | None = None) -> dict[str, Any]:
        """Writes a case, reads it, and returns the class of the answer."""
        shutil.rmtree(self._case, ignore_errors=True)
        self._case.mkdir()
        chance = random.Random(f"{self._target.name} {self._seed} {number}")
        told = self._target.write(self._case, chance)
        told = told.encode("utf-8", "backslashreplace").decode()[:300]
        if what is not None:
            what.write_text(told)
        streams = sys.stdout, sys.stderr
        sys.stdout = sys.stderr = printed = io.StringIO()
        start = time.monotonic()
        try:
            with self._guard:
                kind, said = self._read()
        finally:
            sys.stdout, sys.stderr = streams
        if self._guard.runs:
            kind, said = CODE, " | ".join(self._guard.runs[:3])
        elif self._guard.writes:
            kind, said = WRITES, " | ".join(self._guard.writes[:3])
        elif not printed.getvalue().replace("\n", "").isprintable():
            kind, said = RAW, repr(printed.getvalue()[:300])
        said = said.encode("utf-8", "backslashreplace").decode()[:600]
        return {"class": kind, "said": said, "what": told, "seconds": round(time.monotonic() - start, 3)}

    def _read(self) -> tuple[str, str]:
        try:
            found = self._target.read(self._case)
            return found if isinstance(found, tuple) else (found, "")
        except BaseException as error:
            return class_of(error)
