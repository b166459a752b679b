"""Folders of runs, written without training."""

import json

from simsiam_tf.config.augment import AugmentConfig
from simsiam_tf.config.data import DataConfig
from simsiam_tf.config.devices import DeviceConfig
from simsiam_tf.config.model import ModelConfig
from simsiam_tf.config.optimizer import OptimizerConfig
from simsiam_tf.config.run import FORMAT, Config, RunConfig
from simsiam_tf.files import write_json
from simsiam_tf.training.transfer_workdir import TransferWorkdir

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def made_config(method="simsiam", seed=0, epochs=10, **data):
    """The settings of a run of train.py."""
    return Config(
        ModelConfig.from_values({"method": method}),
        OptimizerConfig(),
        DataConfig(**{"dataset": "shapes", **data}),
        AugmentConfig(),
        DeviceConfig(),
        RunConfig(workdir="somewhere", seed=seed, epochs=epochs),
        recipe="cifar10",
    )


def made_run(folder, config=None, lines=(), **records):
    """The folder of a run of train.py; `lines` are those of metrics.jsonl, `records` the values in summary.json."""
    kept = {"format": FORMAT, "config": (config or made_config()).to_dict(), "git_commit": COMMIT}
    return _written(folder, {**kept, "versions": {"keras": "3.15.1"}}, lines, records)


def made_transfer(folder, lines=(), **records):
    """The folder of a run of transfer.py."""
    from tests.detection.tiny import tiny_transfer_config

    kept = TransferWorkdir._kept(tiny_transfer_config(folder))
    return _written(folder, kept, lines, records)


def _written(folder, content, lines, records):
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "config.json", content)
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    if records:
        write_json(folder / "summary.json", {name: {"value": value} for name, value in records.items()})
    return folder


def epoch(number, **values):
    """A line of metrics.jsonl."""
    return {"epoch": number, "step": 4 * number, "wall_seconds": 1.0 * number, "loss": -0.5, **values}
