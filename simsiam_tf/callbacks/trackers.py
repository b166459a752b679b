"""Sends the settings and numbers of a run to Weights & Biases or to MLflow, if that is asked for.

Neither package is needed otherwise, and nothing is imported or sent unless a tracker is made.
"""

import abc
import contextlib
import importlib
import logging
import numbers
import os
import pathlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import keras

from simsiam_tf.errors import Stopped, UsageError
from simsiam_tf.files import is_in_bucket, parse_json, read_regular, set_aside, write_json

_log = logging.getLogger(__name__)

# The file in the folder of a run that keeps under which name each tracker knows it.
TRACKED = "tracked.json"
# MLflow takes so many settings at a time.
_MLFLOW_BATCH = 100
# What a line of metrics.jsonl holds besides measurements.
_COUNTERS = ("epoch", "step")


class Tracker(keras.callbacks.Callback, abc.ABC):
    """Sends the settings of a run at its start, the logs of each epoch, and the results at its end.

    A run that is resumed goes on as the same tracked run, whose identifier is kept in `tracked.json`. If something
    fails, such as the network, training goes on: a warning says so once, and nothing more is sent.

    Args:
        root: the folder of the run.
        settings: the settings of the run by name, as plain values.
        steps_per_epoch: the number of steps in an epoch.
        earlier: a function that returns the lines of metrics.jsonl. A run that is tracked for the first time sends
            them, among them that of the untrained network.
    """

    package = ""  # the name of the package, and the value of --track
    title = ""

    def __init__(
        self,
        root: pathlib.Path,
        settings: Mapping[str, Any],
        steps_per_epoch: int,
        earlier: Callable[[], Sequence[Mapping[str, Any]]] = list,
    ) -> None:
        super().__init__()
        self._root, self._settings, self._steps, self._earlier = root, settings, steps_per_epoch, earlier
        self._is_open = False

    def on_train_begin(self, logs: Any = None) -> None:
        """Starts the tracked run, or goes on with it."""
        self._attempt(self._begin)

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Sends the logs of an epoch, with the number of the run's steps so far."""
        if self._is_open:
            self._attempt(lambda: self._send(_numbers(logs or {}), (epoch + 1) * self._steps))

    def finish(self, results: Mapping[str, Any]) -> None:
        """Sends the results, and closes the tracked run as one that succeeded.

        Args:
            results: the values of summary.json by name. Those that are neither numbers nor texts are left out.
        """
        texts = {name: value for name, value in results.items() if isinstance(value, str)}
        if self._is_open:
            self._attempt(lambda: self._send_results(_numbers(results), texts))
        self.close(0)

    def close(self, exit_code: int) -> None:
        """Closes the tracked run, if it is open.

        Args:
            exit_code: the exit code of the command; 0 for success, 128 or more after a signal.
        """
        if self._is_open:
            self._attempt(lambda: self._end(exit_code))
            self._is_open = False

    def _begin(self) -> None:
        """Opens the tracked run. A new one gets the settings, and what was measured before."""
        known = _known(self._root)
        before = known.get(self.package)
        name = self._open(before)
        self._is_open = True
        if name != before:
            write_json(self._root / TRACKED, {**known, self.package: name})
            for line in self._earlier():
                measured = {key: value for key, value in line.items() if key not in _COUNTERS}
                self._send(_numbers(measured), line["step"])

    def _attempt(self, call: Callable[[], None]) -> None:
        """Calls a function of the tracker; a failure is told once, and ends the tracking alone."""
        try:
            call()
        except Exception as error:  # of any kind, for it is another program's
            self._is_open = False
            words = " ".join(f"{type(error).__name__}: {error}".split())[:300]
            _log.warning(
                f"{self.title} failed ({words}). The run goes on, and nothing more is sent there; its numbers are in "
                "metrics.jsonl."
            )

    @abc.abstractmethod
    def _open(self, before: str | None) -> str:
        """Opens the tracked run of an identifier, or a new one with the settings; returns its identifier."""

    @abc.abstractmethod
    def _send(self, values: Mapping[str, float], step: int) -> None:
        """Sends measurements after a step."""

    @abc.abstractmethod
    def _send_results(self, values: Mapping[str, float], texts: Mapping[str, str]) -> None:
        """Sends the results of the finished run."""

    @abc.abstractmethod
    def _end(self, exit_code: int) -> None:
        """Closes the tracked run."""


class WandbTracker(Tracker):
    """Tracks a run by Weights & Biases, in the project that WANDB_PROJECT names, or else in `simsiam_tf`.

    Its own files are in the folder `wandb` of the run. What is printed is not sent.

    Example:
        >>> from simsiam_tf.callbacks.trackers import WandbTracker
        >>> WandbTracker.package
        'wandb'
    """

    package, title = "wandb", "Weights & Biases"
    _run: Any = None

    def _open(self, before: str | None) -> str:
        wandb = importlib.import_module(self.package)
        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT") or "simsiam_tf",
            name=os.environ.get("WANDB_NAME") or self._root.name,
            id=before,
            resume="allow",
            config=None if before else dict(self._settings),
            dir=None if is_in_bucket(self._root) else str(self._root),
            settings=wandb.Settings(console="off"),
        )
        return str(self._run.id)

    def _send(self, values: Mapping[str, float], step: int) -> None:
        self._run.log(dict(values), step=step)

    def _send_results(self, values: Mapping[str, float], texts: Mapping[str, str]) -> None:
        self._run.summary.update({**values, **texts})

    def _end(self, exit_code: int) -> None:
        self._run.finish(exit_code=exit_code)


class MLflowTracker(Tracker):
    """Tracks a run by MLflow, at the server or in the database that MLFLOW_TRACKING_URI names.

    The results of the finished run are the metrics whose names begin with `results/`.

    Example:
        >>> from simsiam_tf.callbacks.trackers import MLflowTracker
        >>> MLflowTracker.package
        'mlflow'
    """

    package, title = "mlflow", "MLflow"

    def _open(self, before: str | None) -> str:
        self._mlflow = importlib.import_module(self.package)
        started = self._mlflow.start_run(run_id=before, run_name=None if before else self._root.name)
        if before is None:
            settings = list(self._settings.items())
            for i in range(0, len(settings), _MLFLOW_BATCH):
                self._mlflow.log_params(dict(settings[i : i + _MLFLOW_BATCH]))
        return str(started.info.run_id)

    def _send(self, values: Mapping[str, float], step: int) -> None:
        if values:
            self._mlflow.log_metrics(dict(values), step=step)

    def _send_results(self, values: Mapping[str, float], texts: Mapping[str, str]) -> None:
        self._mlflow.log_metrics({f"results/{name}": value for name, value in values.items()})
        self._mlflow.set_tags(dict(texts))

    def _end(self, exit_code: int) -> None:
        self._mlflow.end_run("FINISHED" if exit_code == 0 else "KILLED" if exit_code >= 128 else "FAILED")


TRACKERS: dict[str, type[Tracker]] = {tracker.package: tracker for tracker in (WandbTracker, MLflowTracker)}
# A function that each package has. A folder of the package's name, as either leaves it, has none.
_PROOF = {"wandb": "init", "mlflow": "start_run"}


def check_tracker(track: str) -> None:
    """Checks that the package of a tracker is there, before anything is built.

    Args:
        track: the value of --track.

    Raises:
        UsageError: if it cannot be imported.
    """
    if track not in TRACKERS:
        return
    try:
        missing = "" if hasattr(importlib.import_module(track), _PROOF[track]) else f"a folder named {track}"
    except Exception as error:  # of any kind: a package that is there may fail as well
        missing = f"{type(error).__name__}: {error}"
    if missing:
        raise UsageError(
            f"--track={track} needs the package {track}; run pip install {track}, or leave --track out. "
            f"Received: {missing}."
        )


@contextlib.contextmanager
def closing(tracker: Tracker | None) -> Iterator[None]:
    """Closes a tracked run as failed or stopped if the `with` block raises.

    Args:
        tracker: the tracker; `None` does nothing.
    """
    try:
        yield
    except BaseException as error:
        if tracker is not None:
            tracker.close(error.exit_code if isinstance(error, Stopped) else 1)
        raise


def _numbers(values: Mapping[str, Any]) -> dict[str, float]:
    """Returns the values that are numbers."""
    found = {name: value for name, value in values.items() if isinstance(value, numbers.Real)}
    return {name: float(value) for name, value in found.items() if not isinstance(value, bool)}


def _known(root: pathlib.Path) -> dict[str, str]:
    """Reads under which names trackers know a run. A damaged record is set aside, and the run is tracked anew."""
    path = root / TRACKED
    try:
        known = parse_json(read_regular(path))
        if not isinstance(known, dict) or not all(isinstance(name, str) and name for name in known.values()):
            raise ValueError("it does not hold names")
        return known
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        set_aside(path, f"{TRACKED} was not one that train.py wrote ({error}), so the run is tracked as a new one")
        return {}
