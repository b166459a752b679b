"""Writes the settings of a run for TensorBoard, whose tab HPARAMS compares runs by them."""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf
from tensorboard.plugins.hparams import api, api_pb2

# The curves that the tab shows beside the settings, by their names in metrics.jsonl. A run need not have all of them;
# TensorBoard takes the list from one of the runs that it compares.
OF_TRAINING = {
    "knn_top1": "kNN, %",
    "loss": "loss",
    "z_std_scaled": "z std scaled",
    "online_probe_top1": "linear (online probe), %",
}
OF_TRANSFER = {"box_ap": "box AP, %", "mask_ap": "mask AP, %", "loss": "loss"}
# The settings that the tab shows before one chooses others. It shows five: those that are marked as differing come
# first, and then the alphabet.
_SHOWN = {"method", "base_learning_rate", "backbone", "learning_rate", "global_batch_size", "epochs", "steps", "seed"}
_TYPES = {bool: api_pb2.DATA_TYPE_BOOL, int: api_pb2.DATA_TYPE_FLOAT64, float: api_pb2.DATA_TYPE_FLOAT64}


class _Kind(api.Domain):
    """Describes the values of a setting, by which the tab offers a filter for them.

    Args:
        name: the name of the setting.
        value: the value in the run.
    """

    def __init__(self, name: str, value: Any) -> None:
        self._name, self.dtype = name, type(value)

    dtype: Any = None

    def sample_uniform(self, rng: Any = None) -> Any:
        """Refuses to draw a value, which nothing here asks for."""
        raise NotImplementedError

    def update_hparam_info(self, hparam_info: Any) -> None:
        """Writes the type of the values, and whether the tab shows the setting at first."""
        if self.dtype is not type(None):
            hparam_info.type = _TYPES.get(self.dtype, api_pb2.DATA_TYPE_STRING)
        hparam_info.differs = self._name in _SHOWN


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
            hparams=[api.HParam(name, _Kind(name, settings[name])) for name in sorted(settings)],
            metrics=[api.Metric(tag, display_name=words) for tag, words in metrics.items()],
        )
        api.hparams(values, trial_id=_plain(run))
    writer.flush()


def _plain(value: Any) -> Any:
    """Returns a value as TensorBoard takes it: several values as one text, and a text that is UTF-8."""
    if isinstance(value, tuple | list):
        return ",".join(str(_plain(part)) for part in value)
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value
