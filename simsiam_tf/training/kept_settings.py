"""Puts the settings of a run into the form that config.json keeps, and that a resumed run is compared by."""

from typing import Any

from simsiam_tf.config.model import KERAS_HUB
from simsiam_tf.config.run import Config
from simsiam_tf.files import expand, expand_several


def identity_of(config: Config) -> dict[str, Any]:
    """Returns what a run is known by, with the place of its first weights as an absolute path."""
    init_weights = config.run.init_weights and expand(config.run.init_weights)
    return {**config.identity(), "init_weights": init_weights, "arch": _absolute_arch(config)}


def _absolute_arch(config: Config) -> str:
    """Returns the architecture, with the folder of a preset of KerasHub as an absolute path."""
    kind, colon, folder = config.model.arch.partition(":")
    return kind + colon + (expand(folder) if kind == KERAS_HUB else folder)


def in_words(value: Any) -> Any:
    """Returns the value of a setting for a sentence."""
    return "none" if value == "" else value


def portable(config: Config) -> dict[str, Any]:
    """Returns the settings as plain values, with absolute paths, which are valid from any working directory."""
    values = config.to_dict()
    of_data = [("data", name) for name in ("file_list", "labels", "index_dir")]
    for group, name in (*of_data, ("run", "workdir"), ("run", "init_weights")):
        values[group][name] = values[group][name] and expand(values[group][name])
    values["model"]["arch"] = _absolute_arch(config)
    values["data"]["index"] = "use"  # what is rebuilt once need not be again
    values["data"]["data_dir"] = ",".join(expand_several(config.data.data_dir))
    return values
