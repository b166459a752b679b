"""The settings of a run: config.json."""

import json
import math
import pathlib
import random
from typing import Any

from tests.fuzz.mutations import mutate_json
from tests.fuzz.target import ROOT, Target, WrongError

_NETWORKS = ("model.arch", "model.width", "model.stem", "model.online_probe", "model.method")
_SEEDS = ROOT / "tests" / "fixtures" / "run_dc5c22e"


class ConfigFile(Target):
    """Reads the settings of a run of train.py, and of one of transfer.py."""

    name = "config"

    def make(self, folder: pathlib.Path) -> None:
        from simsiam_tf.config.transfer import TRANSFER_GROUPS, TransferConfig
        from simsiam_tf.training.transfer_workdir import TransferWorkdir

        groups, needed = TRANSFER_GROUPS, {"backbone": {"backbone": "none"}, "run": {"workdir": "w"}}
        kept = TransferWorkdir._kept(
            TransferConfig(**{name: group(**needed.get(name, {})) for name, group in groups.items()})
        )
        (folder / "transfer.json").write_text(json.dumps(kept))
        for run in ("finished", "mocov2"):
            (folder / f"{run}.json").write_bytes((_SEEDS / run / "config.json").read_bytes())

    def load(self, folder: pathlib.Path) -> None:
        from simsiam_tf.training import transfer_workdir
        from simsiam_tf.training.kept_settings import identity_of

        self._module, self._identity = transfer_workdir, identity_of
        self._seeds = {path.name: path.read_bytes() for path in sorted(folder.glob("*.json"))}

    def write(self, folder: pathlib.Path, chance: random.Random) -> str:
        name, content = chance.choice(list(self._seeds.items()))
        changed, done = mutate_json(json.loads(content), content, chance)
        (folder / "config.json").write_bytes(changed)
        return f"{name}: {done}"

    def read(self, folder: pathlib.Path) -> str:
        is_transfer = self._module.is_transfer(str(folder))
        workdir = (self._module.TransferWorkdir if is_transfer else self._module.Workdir).open_existing(str(folder))
        config = workdir.config()
        written = json.loads((folder / "config.json").read_bytes().decode("utf-8"))["config"]
        for group, values in config.to_dict().items():
            if isinstance(values, dict):
                for name, value in values.items():
                    _check(f"{group}.{name}", value, written.get(group))
        workdir.resolved()
        workdir.data()
        if not is_transfer:
            self._identity(config)
            workdir.record_data({"trained_on": 1})
            if workdir.config() != config:
                raise WrongError("config.json changed by writing it")
        return "settings of transfer.py" if is_transfer else "settings of train.py"


def _check(name: str, value: Any, group: Any) -> None:
    """Raises a WrongError if a setting is not finite, or not what the file says."""
    for number in value if isinstance(value, tuple | list) else (value,):
        if isinstance(number, float) and not math.isfinite(number):
            raise WrongError(f"{name} is {number}")
    own = name.partition(".")[2]
    if isinstance(group, dict) and group.get(own, ...) is None and name not in _NETWORKS:
        return  # a setting that the method had not when the file was written
    if isinstance(group, dict) and own in group and _plain(group[own]) != _plain(value):
        raise WrongError(f"{name} is {value!r}, and {group[own]!r} in the file")


def _plain(value: Any) -> Any:
    return tuple(map(_plain, value)) if isinstance(value, list | tuple) else value
