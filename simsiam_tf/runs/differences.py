"""Compares runs: the settings in which they differ, and their results side by side."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from simsiam_tf.config.run import Config
from simsiam_tf.evaluation.report.numbers import number_rows
from simsiam_tf.runs.known_run import KnownRun, short_names
from simsiam_tf.runs.table import NOTHING, rows_of

# The folder of a run is its name, and differs always.
_NOT_COMPARED = {"workdir"}
# Records of config.json beside the settings. Those that only repeat settings, or are long, are left out.
_DERIVED = ("learning_rate", "predictor_learning_rate", "steps_per_epoch", "replicas", "training_images", "knn_bank")
# What of a measurement must agree in a row, besides its protocol. Of probes it is not the learning rate, which each run
# may choose. The online probe is trained as the run is, whose settings are compared already.
_MEASURED = ("k", "temperature", "optimizer", "epochs", "batch_size", "augmentation", "train", "train_size", "test")
_ONLINE = "online_probe"
_OF_DATA = ("fingerprint", "test_fingerprint", "trained_on", "images", "objects")


@dataclasses.dataclass(frozen=True)
class Differences:
    """Holds the values in which runs differ.

    Attributes:
        values: for each thing, such as a flag, its value in each run; `None` if a run does not have the thing.
        equal: the number of things in which the runs do not differ.
    """

    values: Mapping[str, Sequence[Any]]
    equal: int


def settings_that_differ(runs: Sequence[KnownRun]) -> Differences:
    """Returns the flags whose values differ.

    A run that is older than a setting has the value that describes what it did.

    Args:
        runs: the runs.
    """
    return _differences([{**_settings(run), "recipe": run.config.recipe or None} for run in runs])


def surroundings_that_differ(runs: Sequence[KnownRun]) -> Differences:
    """Returns what differs besides flags: versions, commit, replicas, images, weights begun with, derived rates.

    Args:
        runs: the runs.
    """
    return _differences([_surroundings(run) for run in runs])


def _settings(run: KnownRun) -> dict[str, Any]:
    config = run.config
    groups = config.to_dict()
    flat = {name: value for group in groups.values() if isinstance(group, Mapping) for name, value in group.items()}
    if isinstance(config, Config) and config.data.reads_blocks:
        flat["input"] = "tensorflow"  # what auto chose
    return {name: value for name, value in flat.items() if name not in _NOT_COMPARED}


def _surroundings(run: KnownRun) -> dict[str, Any]:
    content = run.content
    versions, derived, data = (_part(content, name) for name in ("versions", "resolved", "data"))
    return {
        "commit": run.commit,
        **{f"version of {name}": version for name, version in versions.items()},
        **{f"resolved {name}": derived.get(name) for name in _DERIVED},
        **{f"data {name}": data.get(name) for name in _OF_DATA},
        "initial weights": content.get("initial_weights"),
    }


def _part(content: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = content.get(name)
    return part if isinstance(part, Mapping) else {}


def _differences(values: Sequence[Mapping[str, Any]]) -> Differences:
    names = dict.fromkeys(name for of_run in values for name in of_run)
    plain = {name: [_plain(of_run.get(name)) for of_run in values] for name in names}
    differing = {name: of_runs for name, of_runs in plain.items() if any(value != of_runs[0] for value in of_runs)}
    return Differences(differing, len(plain) - len(differing))


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def in_words(value: Any) -> str:
    """Returns a value as one would type it after its flag; `-` for none, and `none` for an empty one."""
    if value is None:
        return NOTHING
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ",".join(map(in_words, value)) or "none"
    return f"{value:g}" if isinstance(value, float) and float(f"{value:g}") == value else str(value) or "none"


def results_of(runs: Sequence[KnownRun]) -> list[tuple[str, list[str], str]]:
    """Returns the results: those of the table of runs, then every record of summary.json.

    Args:
        runs: the runs.

    Returns:
        The name, the texts of the runs, and how it was measured, for each result. A result that was measured in
        different ways has a row for each, since such numbers cannot be compared.
    """
    headings, rows = rows_of(runs)
    shown = [(heading, [row[i] for row in rows], "") for i, heading in enumerate(headings)]
    first = [row for row in shown if row[0] == "state" or row[0].startswith("best") or row[0] == "images/s"]
    found = []
    for shown_settings, online in ((_MEASURED, False), ((), True)):
        summaries = {
            name: {key: record for key, record in run.summary.items() if key.startswith(_ONLINE) == online}
            for name, run in zip(short_names(runs), runs, strict=True)
        }
        found += number_rows(summaries, shown_settings)
    found.sort(key=lambda row: not any("%" in value for value in row["values"]))  # as in the report: accuracies first
    return first + [(row["name"], row["values"], row["protocol"]) for row in found]


def as_json(runs: Sequence[KnownRun]) -> dict[str, Any]:
    """Returns the comparison as JSON knows it: a list of values, in the order of the runs, for each thing.

    Args:
        runs: the runs.
    """
    settings, others = settings_that_differ(runs), surroundings_that_differ(runs)
    names = dict.fromkeys(name for run in runs for name in run.summary)
    return {
        "format": 1,
        "runs": [str(run.root) for run in runs],
        "settings": {"differing": settings.values, "equal": settings.equal},
        "others": {"differing": others.values, "equal": others.equal},
        "states": [run.state for run in runs],
        "results": {name: [run.summary.get(name) for run in runs] for name in names},
    }
