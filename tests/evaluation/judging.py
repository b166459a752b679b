"""Runs a protocol on a run as evaluate.py does, and reads what it records."""

import dataclasses
import json

from simsiam_tf.config import evaluation as settings
from simsiam_tf.config.devices import DeviceConfig
from simsiam_tf.evaluation.evaluate import evaluate

# What every accuracy is recorded with.
RECORD = {"protocol", "augmentation", "train", "test", "checkpoint", "recipe", "seconds"}


def judge(*paths, protocol, data=None, **options):
    """evaluate.py with some settings of any of its groups."""
    groups = {}
    for name, group in settings.EVALUATION_GROUPS.items():
        mine = {field.name: options.pop(field.name) for field in dataclasses.fields(group) if field.name in options}
        protocols = (protocol,) if isinstance(protocol, str) else protocol
        groups[name] = group(**mine, **({"protocol": protocols} if name == "task" else {}))
    assert not options
    evaluate([str(path) for path in paths], settings.EvaluationConfig(**groups), data or {}, DeviceConfig())


def summary(folder):
    return json.loads((folder / "summary.json").read_text())
