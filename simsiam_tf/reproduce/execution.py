"""Carries out runs, each by a command of its own. Interrupted runs are resumed, and finished runs are skipped."""

import logging
import pathlib
import shlex
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

from simsiam_tf.errors import NOT_FINITE, Stopped, UsageError
from simsiam_tf.files import write_json
from simsiam_tf.progress import duration
from simsiam_tf.training.stop_signals import call
from simsiam_tf.training.workdir import record

_log = logging.getLogger(__name__)


class _Workdir(Protocol):
    """Holds what a run has written."""

    @property
    def root(self) -> pathlib.Path:
        """Returns the path of the folder."""

    def is_finished(self) -> bool:
        """Returns whether the run has come to its end."""

    def summary(self) -> dict[str, Any]:
        """Reads the results."""


class Job(Protocol):
    """Describes a run of train.py or of transfer.py."""

    @property
    def workdir(self) -> _Workdir:
        """Returns the folder of the run."""

    @property
    def diverged_path(self) -> pathlib.Path:
        """Returns the path of the file that marks the run as diverged, so that it is not started again."""

    @property
    def is_done(self) -> bool:
        """Returns whether the run has finished or diverged."""

    @property
    def length(self) -> float:
        """Returns how long the run takes, in units that runs of its kind share."""

    @property
    def kind(self) -> str:
        """Returns what else the time of the run depends on. Runs of one kind take as long for each unit of length."""

    @property
    def command(self) -> list[str]:
        """Returns the command that starts or resumes the run."""


AnyJob = TypeVar("AnyJob", bound=Job)


def distinct(jobs: Sequence[AnyJob]) -> list[AnyJob]:
    """Returns the runs without those whose folder an earlier one has."""
    return list({job.workdir.root: job for job in jobs}.values())


def carry_out(jobs: Sequence[AnyJob], then: Callable[[AnyJob], None] | None = None) -> None:
    """Carries out the runs that are not done.

    Args:
        jobs: the runs, in the order in which to carry them out.
        then: a function that is called with each run once it is done.

    Raises:
        UsageError: if a run fails for another reason than a divergence.
        Stopped: after SIGTERM or Ctrl-C, once the current run has saved its state.
    """
    jobs = distinct(jobs)
    for number, job in enumerate(jobs, 1):
        line = f"[{number}/{len(jobs)}] {job.workdir.root.name}"
        if job.is_done:
            _log.info(f"{line}: done.")
        else:
            start = time.monotonic()
            _log.info(f"{line}: {shlex.join(job.command)}")
            if call_or_stop(job.command) == NOT_FINITE:
                write_json(job.diverged_path, record(None, reason="the loss became NaN or infinite"))
            _log.info(f"{line}: {(time.monotonic() - start) / 60:.1f} minutes. {what_is_left(jobs)}")
        if then is not None:
            then(job)


def show(jobs: Sequence[Job]) -> None:
    """Shows the runs: which are done, and the commands of the others."""
    jobs = distinct(jobs)
    for number, job in enumerate(jobs, 1):
        state = "done." if job.is_done else shlex.join(job.command)
        _log.info(f"[{number}/{len(jobs)}] {job.workdir.root.name}: {state}")


def what_is_left(jobs: Sequence[Job]) -> str:
    """Returns a sentence about the runs that are missing, with the time they take if finished runs tell it.

    Args:
        jobs: the runs, those that are done among them.

    Example:
        '28 of 30 runs are missing: about 6 hours.'
    """
    jobs = distinct(jobs)
    missing = [job for job in jobs if not job.is_done]
    if not missing:
        return f"All {len(jobs)} runs are done."
    seconds = seconds_of(missing, jobs)
    time_left = "" if seconds is None else f": about {duration(seconds)}"
    are = "run is" if len(jobs) == 1 else "runs are"
    return f"{len(missing)} of {len(jobs)} {are} missing{time_left}."


def seconds_of(missing: Sequence[Job], jobs: Sequence[Job]) -> float | None:
    """Estimates how long runs take, by the finished runs of the same kind, or else by all that are finished.

    Args:
        missing: the runs whose time is estimated.
        jobs: other runs, some of which may have finished.

    Returns:
        Seconds, or `None` if no run has finished.
    """
    finished = [job for job in distinct(jobs) if job.workdir.is_finished()]
    if not finished:
        return None

    def seconds(job: Job) -> float:
        alike = [other for other in finished if other.kind == job.kind] or finished
        taken = sum(other.workdir.summary()["wall_seconds"]["value"] for other in alike)
        return taken / sum(other.length for other in alike) * job.length

    return sum(map(seconds, missing))


def call_or_stop(command: Sequence[str]) -> int:
    """Runs a command, and returns its exit code: 0, or the one of a divergence.

    A signal to stop is passed on to the command, which saves its state before it ends.

    Raises:
        UsageError: if the command fails for another reason than a divergence.
        Stopped: after a signal, once the command has saved its state.
    """
    code, is_stopped = call(command)
    if is_stopped:
        raise Stopped("Stopped. The current run is saved; the same command resumes it.", code)
    if code not in (0, NOT_FINITE):
        raise UsageError(
            f"This run failed; its error message is above: {shlex.join(command)}. Received: exit code {code}."
        )
    return code
