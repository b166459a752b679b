"""Writes the settings of a run for TensorBoard, whose tab HPARAMS compares runs by them."""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf
from tensorboard.plugins.hparams import api

# The curves that the tab shows beside the settings, by their names in metrics.jsonl. A run need not have all of them;
# TensorBoard takes the list from one of the runs that it compares.
OF_TRAINING = {
    "knn_top1": "kNN, %",
    "loss": "loss",
    "z_std_scaled": "z std scaled",
    "online_probe_top1": "linear (online probe), %",
}
OF_TRANSFER = {"box_ap": "box AP, %", "mask_ap": "mask AP, %", "loss": "loss"}


def write_hparams(
    writer: tf.summary.SummaryWriter, settings: Mapping[str, Any], metrics: Mapping[str, str], run: str
) -> None:
    """Writes the settings of a run, and which curves go with them.

    Args:
        writer: the writer of the run's curves.
        settings: the settings by name. `None`, for a setting that the method does not have, is left out.
        metrics: the names of the curves, with the words that the tab shows for each.
        run: the path of the run's folder. Each folder is a trial of its own, also if two have the same settings.
    """
    values = {name: _plain(value) for name, value in settings.items() if value is not None}
    with writer.as_default():
        api.hparams_config(
            hparams=[api.HParam(name) for name in sorted(settings)],
            metrics=[api.Metric(tag, display_name=words) for tag, words in metrics.items()],
        )
        api.hparams(values, trial_id=_plain(run))
    writer.flush()


def _plain(value: Any) -> Any:
    """Returns a value as TensorBoard takes it: several values as one text, and a text that is UTF-8."""
    if isinstance(value, tuple | list):
        return ",".join(str(_plain(part)) for part in value)
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value
