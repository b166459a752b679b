"""Reads what a run's folder says of it, without TensorFlow for a folder of this machine."""

import dataclasses
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from simsiam_tf.config.run import Config
from simsiam_tf.config.transfer import TransferConfig
from simsiam_tf.errors import UsageError
from simsiam_tf.evaluation.report.numbers import is_of_the_end
from simsiam_tf.files import exists, is_in_bucket, is_locked
from simsiam_tf.guard.causes import State
from simsiam_tf.training.run_files import (
    OF_TRANSFER,
    STATE,
    check_kinds,
    read_json,
    read_metrics,
    read_part,
    read_summary,
)
from simsiam_tf.training.transfer_workdir import TransferWorkdir
from simsiam_tf.training.workdir import Workdir

# The files by which a folder looks like that of a run.
_MARKS = ("config.json", "metrics.jsonl", "summary.json")
_BAD_STEP = "bad_step"


def looks_like_a_run(root: pathlib.Path) -> bool:
    """Returns whether a folder has one of the files that a run has."""
    return any(exists(root / name) for name in _MARKS)


@dataclasses.dataclass(frozen=True)
class KnownRun:
    """Holds what is known of a run of train.py or of transfer.py.

    Attributes:
        root: the folder of the run.
        config: the settings of the run. Those that its config.json is too old for are as that version behaved.
        content: config.json: the settings as they are written there, versions, commit and derived settings.
        summary: the records of summary.json.
        lines: the lines of metrics.jsonl.
        is_running: whether a process of this machine trains it now.
        bad_step: the step that ended the run because a number was not finite; `None` if there is none.
    """

    root: pathlib.Path
    config: Config | TransferConfig
    content: Mapping[str, Any]
    summary: Mapping[str, dict[str, Any]]
    lines: Sequence[Mapping[str, Any]]
    is_running: bool
    bad_step: int | None

    @classmethod
    def read(cls, root: pathlib.Path) -> "KnownRun":
        """Reads the files of a run. Nothing in the folder is changed.

        Args:
            root: the folder of the run.

        Raises:
            UsageError: if its files are not those of a run, are damaged, or cannot be read.
        """
        check_kinds(root, (*_MARKS, _BAD_STEP))
        if not exists(root / "config.json"):
            raise UsageError(f"The folder of a run must have a config.json. Received: {root}.")
        workdir = TransferWorkdir(root) if _is_of_transfer(root) else Workdir(root)
        config = workdir.config()
        for part in ("resolved", "data"):
            read_part(workdir.config_path, part)  # refuses what train.py does not write
        try:
            lines, _ = read_metrics(workdir.metrics_path)
            is_running = is_locked(root / ".lock")
            content = read_json(workdir.config_path)
        except (OSError, ValueError) as error:
            raise UsageError(f"The files of a run must be readable ({_reason(error)}). Received: {root}.") from error
        summary = read_summary(workdir.summary_path)
        return cls(root, config, content, summary, lines, is_running=is_running, bad_step=_bad_step(root))

    @property
    def is_transfer(self) -> bool:
        """Returns whether it is a run of transfer.py."""
        return isinstance(self.config, TransferConfig)

    @property
    def is_finished(self) -> bool:
        """Returns whether the run was trained to its end."""
        return "loss" in self.summary

    @property
    def done(self) -> int:
        """Returns the number of epochs that were trained; of a run of transfer.py, that of steps."""
        return int(self.lines[-1].get("step", 0) if self.is_transfer else self.lines[-1]["epoch"]) if self.lines else 0

    @property
    def planned(self) -> int:
        """Returns the number of epochs of the whole run; of a run of transfer.py, that of steps."""
        return self.config.run.steps if isinstance(self.config, TransferConfig) else self.config.run.epochs

    @property
    def guard_state(self) -> str | None:
        """Returns the last state that the guard has named; `None` if it has named none."""
        states = [line[STATE] for line in self.lines if line.get(STATE) in set(State)]
        return states[-1] if states else None

    @property
    def state(self) -> str:
        """Describes how far the run is, and how it is doing, in a few words."""
        unit = "step" if self.is_transfer else "epoch"
        so_far = f"{unit} {self.done:,} of {self.planned:,}"
        if "stopped" in self.summary:
            return f"stopped: {self.summary['stopped']['value']}, {so_far}"
        if self.is_finished:
            words = "finished"
        elif "converted" in self.summary:
            return "converted weights"
        elif self._ended_by_bad_step:
            return f"stopped: a number was not finite, {so_far}"
        else:
            words = f"{so_far}, running" if self.is_running else so_far
        state = self.guard_state
        return words if state in (None, State.HEALTHY) else f"{words}, {state}"

    @property
    def _ended_by_bad_step(self) -> bool:
        """Returns whether nothing was trained since a step ended the run."""
        last = self.lines[-1].get("step", 0) if self.lines else 0
        return self.bad_step is not None and not self.is_running and self.bad_step >= last

    @property
    def data_set(self) -> str:
        """Returns the name of the data set, with that of its folder for images of the user's own."""
        data = self.config.data
        has_folder = data.dataset in ("folder", "shards", "coco", "voc") and data.data_dir
        return f"{data.dataset} {pathlib.PurePath(data.data_dir).name}" if has_folder else data.dataset

    @property
    def commit(self) -> str | None:
        """Returns the git commit that the run was started with; `None` if it is not known."""
        commit = self.content.get("git_commit")
        return commit if isinstance(commit, str) and commit else None

    def best(self, name: str) -> float | None:
        """Returns the greatest value of a metric: of any epoch but that of the untrained network, and of summary.json.

        Args:
            name: the name of the metric, such as `knn_top1`.
        """
        values = [line[name] for line in self.lines if name in line and line["epoch"] > 0]
        return max([*values, *self._recorded(name)], default=None)

    def latest(self, name: str) -> float | None:
        """Returns the value of a metric in summary.json, or else in the last epoch that has it."""
        values = [line[name] for line in self.lines if name in line and line["epoch"] > 0]
        return next(iter([*self._recorded(name), *reversed(values)]), None)

    @property
    def linear(self) -> tuple[str, float] | None:
        """Returns the name and the accuracy of the best linear probe on the run's own data; `None` without one.

        A probe of an earlier checkpoint than a finished run's last does not count. The online probe, which is trained
        beside the method, counts only if there is no other.
        """
        own = [name for name in self.summary if name.startswith("linear_") and name.endswith("_top1")]
        own = [name for name in own if is_of_the_end(self.summary[name], self.summary)]
        probes = {name: value for name in own for value in self._recorded(name)}
        if probes:
            best = max(probes, key=lambda name: probes[name])
            return best, probes[best]
        online = self.best("online_probe_top1")
        return None if online is None else ("online_probe_top1", online)

    def _recorded(self, name: str) -> list[float]:
        value = self.summary.get(name, {}).get("value")
        return [float(value)] if isinstance(value, int | float) and not isinstance(value, bool) else []


def _is_of_transfer(root: pathlib.Path) -> bool:
    try:
        return read_json(root / "config.json").get("command_of_run") == OF_TRANSFER
    except (OSError, ValueError, AttributeError):  # damaged, which `config` refuses
        return False


def _bad_step(root: pathlib.Path) -> int | None:
    """Returns the step that ended a run, as bad_step/step.json names it; `None` if it names none."""
    try:
        step = read_json(root / _BAD_STEP / "step.json").get("step")
    except (OSError, ValueError, AttributeError):  # there is none, or replay answers that it is damaged
        return None
    return step if type(step) is int else None


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def name_of(root: pathlib.Path) -> str:
    """Returns the path of a run as one would type it: from the current folder on, if it is below that."""
    if is_in_bucket(root) or not root.is_relative_to(os.getcwd()) or str(root) == os.getcwd():
        return str(root)
    return str(root.relative_to(os.getcwd()))


def short_names(runs: Sequence[KnownRun]) -> list[str]:
    """Returns the names of the runs' folders, or their paths if two names are equal."""
    short = [run.root.name for run in runs]
    return short if len(set(short)) == len(short) else [name_of(run.root) for run in runs]
