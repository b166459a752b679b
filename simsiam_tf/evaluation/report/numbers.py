"""Makes the report's table of numbers: the records in the runs' summary.json, side by side."""

from collections.abc import Mapping, Sequence
from typing import Any

from simsiam_tf.evaluation.values import with_unit

# The settings that a row shows after the name of its protocol.
_SHOWN = (
    *("k", "temperature", "optimizer", "base_learning_rate", "weight_decay", "epochs", "batch_size"),
    *("augmentation", "train", "train_size", "test"),
)


def number_rows(
    summaries: Mapping[str, Mapping[str, dict[str, Any]]], shown: Sequence[str] = _SHOWN
) -> list[dict[str, Any]]:
    """Makes a row for each name and protocol in any run's summary.json, with the accuracies first.

    Numbers of the same name but of different protocols have rows of their own, since they cannot be compared. So has
    one of an earlier checkpoint than a finished run's last.

    Args:
        summaries: the records of each run by its name, with one column for each run.
        shown: the settings that a row shows after the name of its protocol, where its record has them.

    Returns:
        A dictionary for each row, with its `name`, its `protocol`, and `values`, the text of each run's number.
    """
    records: dict[tuple[str, str], dict[str, Any]] = {}
    for run, summary in summaries.items():
        for name, record in summary.items():
            if "verdicts" in record:  # the sentence of did_it_help, which has a section of its own
                continue
            way = _protocol(record, shown) + ("" if is_of_the_end(record, summary) else f", of {record['checkpoint']}")
            records.setdefault((name, way.removeprefix(", ")), {})[run] = record
    rows = [
        {"name": name, "protocol": protocol, "values": [_value(by_run.get(run)) for run in summaries]}
        for (name, protocol), by_run in records.items()
    ]
    return sorted(rows, key=lambda row: not any("%" in value for value in row["values"]))


def is_of_the_end(record: Mapping[str, Any], summary: Mapping[str, Mapping[str, Any]]) -> bool:
    """Returns whether a number is of a run's last checkpoint; true if the run has not ended, or does not tell.

    Args:
        record: a record of the run's summary.json.
        summary: all records.
    """
    end = summary.get("loss", {}).get("checkpoint")  # training writes it at the end alone
    return end is None or record.get("checkpoint", end) == end


def _protocol(record: dict[str, Any], shown: Sequence[str]) -> str:
    """Describes the protocol and the settings that produced a number."""
    words = next((record[key] for key in ("protocol", "over", "reason", "of") if record.get(key)), "")
    settings = [f"{key.replace('_', ' ')} {record[key]}" for key in shown if record.get(key, words) != words]
    return ", ".join([*([words] if words else []), *settings])


def _value(record: dict[str, Any] | None) -> str:
    """Formats a record's value and the seconds that it took; `-` if there is no value."""
    if record is None or record["value"] is None:
        return "-"
    value = record["value"]
    if isinstance(value, str) and len(value) > 40:
        return f"{value[:12]}…"
    text = with_unit(value, record.get("unit"))
    return f"{text} ({record['seconds']:.0f} s)" if isinstance(value, float) and record.get("seconds") else text
