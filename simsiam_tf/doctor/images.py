"""Checks what an inspection finds in the images of a run. A folder needs no TensorFlow for it."""

import dataclasses

from simsiam_tf.config.data import DataConfig
from simsiam_tf.config.inspection import InspectConfig
from simsiam_tf.data.dataset import DataSet
from simsiam_tf.doctor.checks import Asked, Outcome
from simsiam_tf.files import printable
from simsiam_tf.inspection.findings import Findings
from simsiam_tf.inspection.inspect import inspect
from simsiam_tf.inspection.odd import CONSTANT, UNREADABLE

# Images whose headers are read, and of each split those whose pixels are: what takes seconds.
_HEADERS, _SAMPLE = 20_000, 200
# The share of images that may be equal to others before it is worth a warning.
_EQUAL = 0.1
_COMMAND = "python -m simsiam_tf.cli.inspect names them"


def images(asked: Asked) -> Outcome:
    """Inspects a sample of the images, as `python -m simsiam_tf.cli.inspect` does with all.

    Args:
        asked: what is asked, of which the settings of the data count.
    """
    data = asked.run.data
    first = min(data.max_examples or _HEADERS, _HEADERS)
    findings, splits = inspect(_data_set(dataclasses.replace(data, max_examples=first)), InspectConfig(sample=_SAMPLE))
    return judge(findings, len(splits[0]))


def _data_set(data: DataConfig) -> DataSet:
    return DataSet(data)


def judge(findings: Findings, count: int) -> Outcome:
    """Judges the findings of an inspection.

    Args:
        findings: the findings.
        count: the number of training images that were inspected.
    """
    counts = {kind: sum(one.role == "training" for one in odd) for kind, odd in findings.odd.items()}
    training = findings.splits[0]
    constant, unreadable = counts.get(CONSTANT, 0), counts.get(UNREADABLE, 0)
    equal = sum(len(names) - 1 for group in findings.identical.get("training", []) for names in group.names.values())
    between = sum(len(names) for group in findings.identical_between for names in group.names.values())
    found = [f"{count:,} headers and {training.pixels_read:,} pictures looked at"]
    found += [
        f"{number:,} {what}"
        for number, what in (
            (unreadable, "cannot be read"),
            (constant, "of a single colour"),
            (equal, "equal to another"),
            (between, "both trained and evaluated on"),
        )
        if number
    ]
    value = "; ".join(found)
    if findings.questions:
        return Outcome("fail", value, printable("; ".join(q.rstrip(".") for q in findings.questions)))
    if 2 * constant >= training.pixels_read:
        return Outcome("fail", value, f"images of a single colour teach nothing; {_COMMAND}")
    if constant or unreadable or between or equal > _EQUAL * count:
        return Outcome("warn", value, f"{_COMMAND}; take away what should not be there")
    return Outcome("pass", value if len(found) > 1 else f"{value}; nothing unusual")
