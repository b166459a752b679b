"""Every command-line flag, made from the settings in simsiam_tf/config.py."""

import dataclasses
import pathlib
import sys
from collections.abc import Callable, Sequence
from typing import Any

from absl import flags

from simsiam_tf.config import CONFIG_GROUPS, Config, DataConfig, EvaluationConfig, UsageError

_DEFINE: dict[str, Any] = {
    "str": flags.DEFINE_string,
    "int": flags.DEFINE_integer,
    "float": flags.DEFINE_float,
    "float | None": flags.DEFINE_float,
    "bool": flags.DEFINE_bool,
}


def _define(group: type, **defaults: Any) -> None:
    """One flag for each field of a dataclass; `defaults` replace the fields' own."""
    for field in dataclasses.fields(group):
        default = defaults.get(field.name, field.default)
        kind = field.type if isinstance(field.type, str) else getattr(field.type, "__name__", str(field.type))
        if field.metadata["choices"]:
            flags.DEFINE_enum(
                field.name, default, field.metadata["choices"], field.metadata["help"], module_name=group.__name__
            )
        else:
            _DEFINE[kind](field.name, default, field.metadata["help"], module_name=group.__name__)


def _values(group: type) -> dict[str, Any]:
    return {field.name: flags.FLAGS[field.name].value for field in dataclasses.fields(group)}


def define_training_flags() -> None:
    """The flags of train.py."""
    for group in CONFIG_GROUPS.values():
        _define(group)


def training_config() -> Config:
    """The run that the parsed flags ask for."""
    groups = {name: group(**_values(group)) for name, group in CONFIG_GROUPS.items()}
    return Config(**groups, recipe=recipe_name(sys.argv))


def recipe_name(arguments: Sequence[str]) -> str:
    """The stems of the flagfiles on a command line, joined by '+'; `custom` without any."""
    pairs = zip(arguments, [*arguments[1:], ""], strict=True)
    files = [a.partition("=")[2] or b for a, b in pairs if a.lstrip("-").partition("=")[0] == "flagfile"]
    return "+".join(pathlib.Path(file).stem for file in files) or "custom"


_DATA_OF_ANOTHER_SET = ("dataset", "data_dir", "download", "train_split", "eval_split")


def define_evaluation_flags() -> None:
    """The flags of evaluate.py. What concerns the data is the run's own unless given."""
    _define(EvaluationConfig)
    flags.DEFINE_string("workdir", "", "Folder of the run that is judged.")
    for field in dataclasses.fields(DataConfig):
        if field.name in _DATA_OF_ANOTHER_SET:
            define = flags.DEFINE_bool if field.name == "download" else flags.DEFINE_string
            define(field.name, None, f"{field.metadata['help']} By default the run's own.")


def evaluation_config() -> tuple[str, EvaluationConfig, dict[str, Any]]:
    """The workdir, the evaluation, and the data settings that differ from the run's."""
    given = {name: flags.FLAGS[name].value for name in _DATA_OF_ANOTHER_SET if flags.FLAGS[name].value is not None}
    return flags.FLAGS.workdir, EvaluationConfig(**_values(EvaluationConfig)), given


def run(define: Callable[[], None], main: Callable[[], int | None]) -> None:
    """Parses the command line, calls `main`, and exits: 0, or 2 with one sentence for a request that cannot be met."""
    define()
    flags.FLAGS.set_gnu_getopt(True)
    try:
        rest = flags.FLAGS(sys.argv)[1:]
        if rest:
            raise UsageError(f"Arguments must be flags, as --name=value. Received: {' '.join(rest)}.")
        sys.exit(main() or 0)
    except (flags.Error, UsageError, PermissionError) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(2)
