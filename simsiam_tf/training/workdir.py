"""Manages the folder of a run: locks it, and reads and writes its config.json, metrics.jsonl and summary.json."""

import dataclasses
import json
import os
import pathlib
import platform
import subprocess
import sys
from typing import Any

from simsiam_tf.files import write_json

try:
    import fcntl
except ImportError:  # Windows has no fcntl: the folder is not locked there
    fcntl = None  # type: ignore[assignment]

import simsiam_tf
from simsiam_tf.config.run import FORMAT, Config
from simsiam_tf.errors import UsageError
from simsiam_tf.files import expand

# The lock files stay open until the process ends. The system then releases the locks, even after a kill.
_LOCKS: dict[pathlib.Path, Any] = {}


def record(value: Any, **produced_by: Any) -> dict[str, Any]:
    """Makes a record of summary.json: a value, and what produced it.

    Args:
        value: the value of the record.
        **produced_by: the protocol, settings and data that the value comes from.
    """
    return {"value": value, **produced_by}


@dataclasses.dataclass(frozen=True)
class Workdir:
    """Reads and writes the files of one run.

    Attributes:
        root: the folder of the run.
    """

    root: pathlib.Path

    @classmethod
    def open_for_training(cls, config: Config) -> "Workdir":
        """Opens and locks the folder of a run to start or resume it. A new run gets its config.json.

        Args:
            config: the settings of the run.

        Raises:
            UsageError: if the folder cannot be written, is in use by another process, lacks the config.json of a run
                that it holds, holds a run with other settings, or holds a run that `--noresume` forbids to resume.
        """
        workdir = cls(pathlib.Path(expand(config.run.workdir)))
        workdir.check_writable()
        workdir._lock()
        if workdir._has_results():
            if not workdir.config_path.exists():
                raise UsageError(
                    f"--workdir holds checkpoints but no config.json; give another folder. Received: {workdir.root}."
                )
            workdir._check_same_run(config)
        else:
            if workdir.config_path.exists():  # left by an attempt that ended before its first checkpoint
                for path in (workdir.metrics_path, workdir.skipped_path, *workdir.tensorboard.glob("events.out.*")):
                    path.unlink(missing_ok=True)
            elif workdir.metrics_path.exists():
                raise UsageError(
                    f"--workdir has metrics.jsonl but no config.json; give another folder. Received: {workdir.root}."
                )
            write_json(workdir.config_path, {"format": FORMAT, "config": _portable(config), **_environment()})
        return workdir

    @classmethod
    def open_existing(cls, path: str) -> "Workdir":
        """Opens the folder of a run that was started before.

        Args:
            path: the path of the folder, as the user typed it.

        Raises:
            UsageError: if the folder holds no config.json.
        """
        workdir = cls(pathlib.Path(expand(path)))
        if not path or not workdir.config_path.exists():
            raise UsageError(
                f"--workdir must be the folder of a run, with the config.json that train.py wrote. Received: {path!r}."
            )
        return workdir

    def check_writable(self) -> None:
        """Checks that files can be written into the folder; makes the folder if it does not exist.

        Raises:
            UsageError: if the folder cannot be made or written into.
        """
        probe = self.root / f".write_test_{os.getpid()}"
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise UsageError(
                f"--workdir must be a folder that can be written ({error.strerror}). Received: {self.root}."
            ) from error

    def _lock(self) -> None:
        """Locks the folder against other training processes until this process ends, even by a kill."""
        if fcntl is None or self.root in _LOCKS:
            return
        file = (self.root / ".lock").open("a+")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            raise UsageError(
                f"Another process is training in --workdir ({file.read().strip() or 'unknown'}); wait for it "
                f"or give another folder. Received: {self.root}."
            ) from error
        except OSError:  # the file system has no locks: training goes on without one
            return
        _LOCKS[self.root] = file
        if not self.is_finished():  # a finished run is not trained, so the file need not name this process
            file.truncate(0)
            file.write(f"process {os.getpid()} on {platform.node()}\n")
            file.flush()

    @property
    def config_path(self) -> pathlib.Path:
        """Returns the path of config.json: settings, versions, commit and command."""
        return self.root / "config.json"

    @property
    def metrics_path(self) -> pathlib.Path:
        """Returns the path of metrics.jsonl: a line for each epoch."""
        return self.root / "metrics.jsonl"

    @property
    def summary_path(self) -> pathlib.Path:
        """Returns the path of summary.json: results, each with what produced it."""
        return self.root / "summary.json"

    @property
    def skipped_path(self) -> pathlib.Path:
        """Returns the path of skipped.txt: a line for each image that could not be read."""
        return self.root / "skipped.txt"

    @property
    def tensorboard(self) -> pathlib.Path:
        """Returns the path of the folder of TensorBoard's files."""
        return self.root / "tensorboard"

    @property
    def checkpoints(self) -> pathlib.Path:
        """Returns the path of the folder of the checkpoints."""
        return self.root / "checkpoints"

    def _has_results(self) -> bool:
        """Returns whether the folder holds a checkpoint or a summary."""
        return self.summary_path.exists() or any(self.checkpoints.glob("*.index"))

    def _check_same_run(self, config: Config) -> None:
        """Raises a UsageError if the folder holds a run of other settings, or if `--noresume` forbids to resume it."""
        ours, theirs = config.identity(), self.config().identity()
        differing = [
            f"{name}: {theirs[name]} in the folder, {ours[name]} now" for name in ours if ours[name] != theirs[name]
        ]
        if differing:
            raise UsageError(
                f"--workdir holds a run with other settings ({'; '.join(differing)}); give another folder. "
                f"Received: {self.root}."
            )
        if not config.run.resume:
            raise UsageError(
                "--workdir holds a run already, and --noresume forbids to continue it; give another folder. "
                f"Received: {self.root}."
            )

    def config(self) -> Config:
        """Reads the settings that the run was started with, from config.json.

        Raises:
            UsageError: if config.json was not written by train.py, or was written by a newer version.
        """
        try:
            content = json.loads(self.config_path.read_text())
            written = content.get("format", 1)  # files of format 1 do not state it
            if written > FORMAT:
                raise UsageError(
                    f"config.json is of format {written}, and this version reads up to {FORMAT}; use the version that "
                    f"wrote it, or a newer one. Received: {self.config_path}."
                )
            return Config.from_dict(content["config"])
        except (json.JSONDecodeError, AttributeError, KeyError, TypeError) as error:
            raise UsageError(f"config.json must be one that train.py wrote. Received: {self.config_path}.") from error

    def record_resolved(self, resolved: dict[str, Any]) -> None:
        """Adds the derived settings (scaled learning rates, sizes, policies) to config.json.

        Args:
            resolved: the derived settings, as from `summary.resolved_settings`.
        """
        content = json.loads(self.config_path.read_text())
        write_json(self.config_path, {**content, "resolved": resolved})

    def summary(self) -> dict[str, Any]:
        """Reads the records of summary.json; there are none if the file does not exist yet."""
        return json.loads(self.summary_path.read_text()) if self.summary_path.exists() else {}

    def add_to_summary(self, records: dict[str, Any]) -> None:
        """Adds records to summary.json. A record of the same name is replaced.

        Args:
            records: the records (see `record`) by name.
        """
        write_json(self.summary_path, {**self.summary(), **records})

    def is_finished(self) -> bool:
        """Returns whether pre-training has run to its end."""
        return "loss" in self.summary()

    def metrics(self) -> list[dict[str, Any]]:
        """Reads the lines of metrics.jsonl. A line that a kill cut short is left out."""
        lines = []
        if self.metrics_path.exists():
            for line in self.metrics_path.read_text().splitlines():
                try:
                    lines.append(json.loads(line))
                except json.JSONDecodeError:
                    continue
        return lines

    def keep_metrics_up_to(self, step: int) -> None:
        """Removes the lines of metrics.jsonl after a step, because a resumed run trains those steps again."""
        kept = [line for line in self.metrics() if line["step"] <= step]
        draft = self.metrics_path.with_suffix(".tmp")
        draft.write_text("".join(json.dumps(line) + "\n" for line in kept))
        draft.replace(self.metrics_path)

    def skipped(self) -> list[str]:
        """Reads the paths of the images that could not be read, from skipped.txt."""
        return self.skipped_path.read_text(errors="surrogateescape").splitlines() if self.skipped_path.exists() else []

    def append_metrics(self, line: dict[str, Any]) -> None:
        """Adds a line to metrics.jsonl."""
        with self.metrics_path.open("a") as file:
            file.write(json.dumps(line) + "\n")


def _portable(config: Config) -> dict[str, Any]:
    """Returns the settings as plain values, with absolute paths, which are valid from any working directory."""
    values = config.to_dict()
    for group, name in (("data", "data_dir"), ("run", "workdir")):
        values[group][name] = values[group][name] and expand(values[group][name])
    return values


def _environment() -> dict[str, Any]:
    """Returns the versions, the git commit and the command for config.json."""
    import importlib.metadata

    def version(*names: str) -> str | None:
        for name in names:
            try:
                return importlib.metadata.version(name)
            except importlib.metadata.PackageNotFoundError:
                continue
        return None

    git = ["git", "-C", str(pathlib.Path(__file__).parent), "rev-parse", "HEAD"]
    try:
        commit = subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip() or None
    except OSError:  # no git on this machine
        commit = None
    return {
        "versions": {
            "simsiam_tf": simsiam_tf.__version__,
            "python": platform.python_version(),
            "tensorflow": version("tensorflow", "tensorflow-cpu", "tensorflow-tpu"),
            "keras": version("keras"),
            "tensorflow-datasets": version("tensorflow-datasets"),
        },
        "git_commit": commit,
        "command": sys.argv,
    }
