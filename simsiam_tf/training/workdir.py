"""Manages the folder of a run: locks it, and reads and writes its config.json, metrics.jsonl and summary.json."""

import dataclasses
import json
import pathlib
from typing import Any, Self

from simsiam_tf.config.run import FORMAT, Config
from simsiam_tf.errors import UsageError
from simsiam_tf.files import (
    DISK_ERRORS,
    LockHeldError,
    append_text,
    check_bucket,
    check_folder,
    is_file,
    lock,
    read_text,
    set_aside,
    user_path,
    write_json,
    write_text,
)
from simsiam_tf.training.environment import environment
from simsiam_tf.training.kept_settings import identity_of, in_words, portable
from simsiam_tf.training.run_files import (
    OF_TRAINING,
    OF_TRANSFER,
    TO_RESUME,
    check_kinds,
    read_json,
    read_metrics,
    read_part,
    read_summary,
)


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
    def open_for_training(cls, config: Any) -> Self:
        """Opens and locks the folder of a run to start or resume it. A new run gets its config.json.

        Args:
            config: the settings of the run.

        Raises:
            UsageError: if the folder cannot be written, is in use by another process, lacks the config.json of a run
                that it holds, holds damaged files or a run with other settings, or holds a run that `--noresume`
                forbids to resume.
            OSError: if the disk is full or fails.
        """
        workdir = cls(user_path(config.run.workdir))
        workdir.check_writable()
        check_kinds(workdir.root, OF_TRAINING)
        workdir.summary()
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
            write_json(workdir.config_path, {**cls._kept(config), **environment()})
        return workdir

    @classmethod
    def open_existing(cls, path: str) -> Self:
        """Opens the folder of a run that was started before.

        Args:
            path: the path of the folder, as the user typed it.

        Raises:
            UsageError: if the folder holds no config.json.
        """
        workdir = cls(user_path(path))
        check_bucket(workdir.root)
        if not path or not is_file(workdir.config_path):  # not so for a name that is too long, too
            raise UsageError(
                f"--workdir must be the folder of a run, with the config.json that train.py wrote. Received: {path!r}."
            )
        return workdir

    def check_writable(self) -> None:
        """Checks that files can be written into the folder; makes the folder if it does not exist.

        Raises:
            UsageError: if the folder cannot be made or written into.
            OSError: if the disk is full or fails.
            ConnectionError: if the folder is in a bucket that does not exist, refuses, or does not answer.
        """
        try:
            check_folder(self.root)
        except OSError as error:
            if error.errno in DISK_ERRORS or isinstance(error, ConnectionError):
                raise
            raise UsageError(
                f"--workdir must be a folder that can be written ({error.strerror}). Received: {self.root}."
            ) from error

    def _lock(self) -> None:
        """Locks the folder against other training processes until this process ends, even by a kill."""
        try:
            # A finished run is not trained, so the file need not name this process.
            lock(self.root / ".lock", named=not self.is_finished())
        except LockHeldError as error:
            raise UsageError(
                f"Another process is training in --workdir ({error}); wait for it or give another folder. "
                f"Received: {self.root}."
            ) from error

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

    @staticmethod
    def _kept(config: Any) -> dict[str, Any]:
        """Returns what config.json says of the settings."""
        return {"format": FORMAT, "config": portable(config)}

    @staticmethod
    def _identity(config: Any) -> dict[str, Any]:
        """Returns the settings by which a resumed run is compared."""
        return identity_of(config)

    def _check_same_run(self, config: Any) -> None:
        """Raises a UsageError if the folder holds a run of other settings, or if `--noresume` forbids to resume it."""
        ours, theirs = self._identity(config), self._identity(self.config())
        differing = [
            f"{name}: {in_words(theirs[name])} in the folder, {in_words(ours[name])} now"
            for name in ours
            if ours[name] != theirs[name]
        ]
        if differing:
            is_longer = ours.get("epochs") != theirs.get("epochs") and self.is_finished()
            further = f", with --init_weights={self.root} to train its weights by a new schedule" if is_longer else ""
            raise UsageError(
                f"--workdir holds a run with other settings ({'; '.join(differing)}); give another folder{further}. "
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
            content = read_json(self.config_path)
            if content.get("command_of_run") == OF_TRANSFER:
                raise UsageError(
                    "--workdir is a run of transfer.py, which evaluate.py judges by --protocol=detection. "
                    f"Received: {self.root}."
                )
            written = content.get("format", 1)  # files of format 1 do not state it
            if written > FORMAT:
                raise UsageError(
                    f"config.json is of format {written}, and this version reads up to {FORMAT}; use the version that "
                    f"wrote it, or a newer one. Received: {self.config_path}."
                )
            return Config.from_dict(content["config"])
        except UsageError:
            raise
        except (OSError, ValueError, AttributeError, KeyError, TypeError) as error:
            raise UsageError(f"config.json must be one that train.py wrote. Received: {self.config_path}.") from error

    def record_resolved(self, resolved: dict[str, Any]) -> None:
        """Adds the derived settings (scaled learning rates, sizes, policies) to config.json.

        Args:
            resolved: the derived settings, as from `summary.resolved_settings`.
        """
        content = read_json(self.config_path)
        write_json(self.config_path, {**content, "resolved": resolved})

    def record_initial_weights(self, taken: str) -> None:
        """Adds to config.json what the run began with, as a sentence."""
        write_json(self.config_path, {**read_json(self.config_path), "initial_weights": taken})

    def resolved(self) -> dict[str, Any]:
        """Reads the derived settings from config.json; there are none before the first training step."""
        return read_part(self.config_path, "resolved") or {}

    def data(self) -> dict[str, Any] | None:
        """Reads what config.json says of the images that the run was started with; `None` if it does not say it."""
        images = self.resolved().get("training_images")
        return read_part(self.config_path, "data") or (None if images is None else {"trained_on": images})

    def record_data(self, data: dict[str, Any]) -> None:
        """Writes into config.json which images the run trains on."""
        write_json(self.config_path, {**read_json(self.config_path), "data": data})

    def summary(self) -> dict[str, Any]:
        """Reads the records of summary.json; there are none if the file does not exist yet.

        Raises:
            UsageError: if the file is damaged.
        """
        return read_summary(self.summary_path)

    def add_to_summary(self, records: dict[str, Any]) -> None:
        """Adds records to summary.json. A record of the same name is replaced, or removed by `None` in its place.

        Args:
            records: the records (see `record`) by name.
        """
        content = {**self.summary(), **records}
        write_json(self.summary_path, {name: record for name, record in content.items() if record is not None})

    def is_finished(self) -> bool:
        """Returns whether pre-training has run to its end."""
        return "loss" in self.summary()

    def metrics(self) -> list[dict[str, Any]]:
        """Reads the lines of metrics.jsonl. A line that a kill cut short is left out, as is a damaged one."""
        return read_metrics(self.metrics_path)[0]

    def keep_metrics_up_to(self, step: int) -> None:
        """Removes the lines of metrics.jsonl after a step, because a resumed run trains those steps again.

        If a line is damaged, the file is set aside, and its other lines are written anew.
        """
        lines, damaged = read_metrics(self.metrics_path, TO_RESUME)
        if damaged:
            count = f"{damaged} line{'s' if damaged > 1 else ''}"
            set_aside(self.metrics_path, f"metrics.jsonl had {count} that train.py did not write")
        kept = [line for line in lines if line["step"] <= step]
        write_text(self.metrics_path, "".join(json.dumps(line) + "\n" for line in kept))

    def skipped(self) -> list[str]:
        """Reads the paths of the images that could not be read, from skipped.txt."""
        if not self.skipped_path.exists():
            return []
        return read_text(self.skipped_path).splitlines()

    def append_metrics(self, line: dict[str, Any]) -> None:
        """Adds a line to metrics.jsonl."""
        append_text(self.metrics_path, json.dumps(line) + "\n")
