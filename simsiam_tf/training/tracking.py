"""Makes the tracker that a run asks for, of Weights & Biases or of MLflow."""

from typing import Any

import tensorflow as tf

from simsiam_tf.callbacks.trackers import TRACKERS, Tracker, check_tracker
from simsiam_tf.distribute import workers
from simsiam_tf.training.workdir import Workdir


def refuse_missing_tracker(track: str, strategy: tf.distribute.Strategy) -> None:
    """Checks on the chief, which alone tracks, that the package of a tracker is there.

    Args:
        track: the value of --track.
        strategy: the distribution strategy of the run.

    Raises:
        UsageError: if it is missing.
    """
    # On every worker, whatever its own flag is. If only the chief had the flag, it would wait for the others.
    workers.on_chief(strategy, lambda: check_tracker(track), None)


def make_tracker(
    config: Any, workdir: Workdir, steps_per_epoch: int, strategy: tf.distribute.Strategy
) -> Tracker | None:
    """Returns the tracker of a run; `None` on workers other than the chief, and if none is asked for.

    Args:
        config: the settings of the run.
        workdir: the folder of the run.
        steps_per_epoch: the number of steps in an epoch, or in what each line of metrics.jsonl is about.
        strategy: the distribution strategy of the run.
    """
    if config.run.track not in TRACKERS or not workers.is_chief(strategy):
        return None
    groups = [group for group in config.to_dict().values() if isinstance(group, dict)]
    settings = {name: value for group in groups for name, value in group.items() if value is not None}
    settings = {name: list(value) if isinstance(value, tuple) else value for name, value in settings.items()}
    settings["recipe"] = config.recipe
    return TRACKERS[config.run.track](workdir.root, settings, steps_per_epoch, workdir.metrics)


def send_results(tracker: Tracker | None, workdir: Workdir) -> None:
    """Sends the records of summary.json, and closes the tracked run.

    Args:
        tracker: the tracker; `None` does nothing.
        workdir: the folder of the run.
    """
    if tracker is not None:
        tracker.finish({name: record["value"] for name, record in workdir.summary().items()})
