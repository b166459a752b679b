"""Makes command-line flags from the dataclasses of simsiam_tf/config, and the dataclasses from the parsed flags.

flags/definitions.py lists which dataclass each group of flags comes from.
"""

import dataclasses
import pathlib
import sys
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from absl import flags

from simsiam_tf.config.augment import AugmentConfig, PerView
from simsiam_tf.config.data import DataConfig
from simsiam_tf.config.devices import DeviceConfig
from simsiam_tf.config.evaluation import EVALUATION_GROUPS, EvaluationConfig
from simsiam_tf.config.fields import Integers, Names, Numbers, Setting, SettingsGroup
from simsiam_tf.config.preview import PreviewConfig
from simsiam_tf.config.run import CONFIG_GROUPS, Config
from simsiam_tf.config.scale import SizeConfig
from simsiam_tf.errors import UsageError
from simsiam_tf.reproduce.config import ReproduceConfig

_OLD_RUN = "Run, and data other than the run's own"


class _PerViewParser(flags.ArgumentParser):
    """Parses a number for both views, or two numbers with a comma between them."""

    syntactic_help = "a number, or one for each view: a,b"

    def parse(self, argument: Any) -> Any:
        """Returns a float for both views, or a tuple of one float for each."""
        try:
            numbers = tuple(float(part) for part in str(argument).split(","))
        except ValueError:
            numbers = ()
        if len(numbers) not in (1, 2):
            raise ValueError("it must be a number, or two with a comma between them, one for each view.")
        return numbers if len(numbers) == 2 else numbers[0]


class _ListParser(flags.ArgumentParser):
    """Parses values with commas between them.

    Args:
        kind: a function that converts the text of a value to the value.
        what: the words for the values in messages.
    """

    def __init__(self, kind: Callable[[str], Any], what: str):
        self._kind, self._what = kind, what
        self.syntactic_help = f"{what} with commas between them"

    def parse(self, argument: Any) -> tuple:
        """Returns a tuple of the values."""
        parts = argument if isinstance(argument, tuple) else [p for p in str(argument).split(",") if p.strip()]
        try:
            return tuple(self._kind(part) for part in parts)
        except ValueError:
            raise ValueError(f"it must be {self._what}, with commas between them.") from None


class _CommaSerializer(flags.ArgumentSerializer):
    """Writes values with commas between them, as on a command line."""

    def serialize(self, value: Any) -> str:
        """Returns the text of one value or of a tuple of values."""
        parts = value if isinstance(value, tuple) else (value,)
        return ",".join(f"{p:g}" if isinstance(p, float) and float(f"{p:g}") == p else str(p) for p in parts)


def _define_list(kind: Callable[[str], Any], what: str) -> Callable[..., None]:
    def define(name: str, default: Any, text: str, **options: Any) -> None:
        flags.DEFINE(_ListParser(kind, what), name, default, text, serializer=_CommaSerializer(), **options)

    return define


def _define_per_view(name: str, default: Any, text: str, **options: Any) -> None:
    flags.DEFINE(_PerViewParser(), name, default, text, serializer=_CommaSerializer(), **options)


_DEFINE: dict[Any, Callable[..., Any]] = {
    str: flags.DEFINE_string,
    int: flags.DEFINE_integer,
    float: flags.DEFINE_float,
    bool: flags.DEFINE_bool,
    PerView: _define_per_view,
    Integers: _define_list(int, "whole numbers"),
    Numbers: _define_list(float, "numbers"),
    Names: _define_list(str.strip, "names"),
}

_Group = TypeVar("_Group", bound=SettingsGroup)


def _define(group: type[SettingsGroup]) -> None:
    """Defines one flag for each setting, under the group's heading in --help."""
    heading = (group.__doc__ or group.__name__).splitlines()[0].rstrip(".")
    for setting in group.settings():
        _define_setting(setting, heading)


def _define_setting(setting: Setting, heading: str) -> None:
    name, default, text = setting.name, setting.default, setting.help
    if setting.choices and setting.type is str:
        flags.DEFINE_enum(name, default, setting.choices, text, module_name=heading)
    else:
        _DEFINE[setting.type](name, default, text, module_name=heading)


def _parsed(group: type[_Group]) -> _Group:
    """Makes a group of settings from the parsed flags."""
    return group.from_values({setting.name: flags.FLAGS[setting.name].value for setting in group.settings()})


def _training_settings() -> list[Setting]:
    groups: list[type[SettingsGroup]] = [*CONFIG_GROUPS.values(), SizeConfig]
    return [setting for group in groups for setting in group.settings()]


def define_training_flags() -> None:
    """Defines the flags of train.py."""
    for group in (*CONFIG_GROUPS.values(), SizeConfig):
        _define(group)


def training_config() -> Config:
    """Returns the configuration of the run that the parsed flags ask for."""
    return _config(sys.argv)


def _config(arguments: Sequence[str]) -> Config:
    groups: dict[str, Any] = {name: _parsed(group) for name, group in CONFIG_GROUPS.items()}
    return _parsed(SizeConfig).apply(Config(**groups, recipe=recipe_name(arguments)))


def training_config_of(arguments: Sequence[str]) -> Config:
    """Returns the configuration of the run that a list of flags of train.py asks for.

    This is for scripts that have other flags of their own. Each call starts from the defaults.

    Args:
        arguments: the flags, as `--name=value`.

    Raises:
        UsageError: if a flag or a value is not possible.
    """
    if "epochs_scale" not in flags.FLAGS:
        define_training_flags()
    for setting in _training_settings():
        flags.FLAGS[setting.name].unparse()
    try:
        flags.FLAGS(["", *arguments])
    except flags.Error as error:
        raise UsageError(str(error)) from error
    return _config(arguments)


def recipe_name(arguments: Sequence[str]) -> str:
    """Returns the names of the flagfiles on a command line, without folder and ending, joined by '+'; or `custom`."""
    pairs = zip(arguments, [*arguments[1:], ""], strict=True)
    files = [a.partition("=")[2] or b for a, b in pairs if a.lstrip("-").partition("=")[0] == "flagfile"]
    return "+".join(pathlib.Path(file).stem for file in files) or "custom"


def define_workdir_flag() -> None:
    """Defines the flag of a command that shows a run."""
    flags.DEFINE_string("workdir", "", "Folder of the run to show.", module_name=_OLD_RUN)


def workdir_flag() -> str:
    """Returns the folder of the run that the command shows."""
    return flags.FLAGS.workdir


_DATA_OF_ANOTHER_SET = ("dataset", "data_dir", "download", "train_split", "eval_split", "max_bad_fraction")
_DEVICES_OF_AN_EVALUATION = ("strategy", "tpu", "cpu_devices")


def define_evaluation_flags() -> None:
    """Defines the flags of evaluate.py. By default, the data are those of the run."""
    for group in EVALUATION_GROUPS.values():
        _define(group)
    flags.DEFINE_multi_string(
        "workdir",
        [],
        "Folder of the run. 'report' takes several, each with a --workdir of its own.",
        module_name=_OLD_RUN,
    )
    for setting in DataConfig.settings():
        if setting.name in _DATA_OF_ANOTHER_SET:
            text = f"{setting.help} By default that of the run."
            _define_setting(dataclasses.replace(setting, default=None, help=text), _OLD_RUN)
    for setting in DeviceConfig.settings():
        if setting.name in _DEVICES_OF_AN_EVALUATION:
            _define_setting(setting, "Devices of the evaluation")


def evaluation_config() -> tuple[list[str], EvaluationConfig, dict[str, Any], DeviceConfig]:
    """Returns the workdirs, the evaluation's settings, the data settings that replace the run's, and the devices."""
    given = {name: flags.FLAGS[name].value for name in _DATA_OF_ANOTHER_SET if flags.FLAGS[name].value is not None}
    chosen: dict[str, Any] = {name: flags.FLAGS[name].value for name in _DEVICES_OF_AN_EVALUATION}
    groups: dict[str, Any] = {name: _parsed(group) for name, group in EVALUATION_GROUPS.items()}
    return flags.FLAGS.workdir, EvaluationConfig(**groups), given, DeviceConfig(**chosen)


def define_preview_flags() -> None:
    """Defines the flags of the preview: those of train.py, and those of the picture."""
    _define(PreviewConfig)
    define_training_flags()


def preview_config() -> tuple[PreviewConfig, DataConfig, AugmentConfig, int]:
    """Returns the settings of the picture, and what it shows of a run: its data, augmentation and seed."""
    return _parsed(PreviewConfig), _parsed(DataConfig), _parsed(AugmentConfig), flags.FLAGS.seed


def define_reproduce_flags() -> None:
    """Defines the flags of the reproduction: its own, and those of train.py for its runs."""
    _define(ReproduceConfig)
    define_training_flags()


def reproduce_config() -> tuple[ReproduceConfig, str, int, list[str]]:
    """Returns the settings of the reproduction, its folder, its first seed, and the flags to give to every run."""
    names = [setting.name for setting in _training_settings()]
    given = [flags.FLAGS[name] for name in names if flags.FLAGS[name].present and name not in ("workdir", "seed")]
    given += [flags.FLAGS["verbosity"]] if flags.FLAGS["verbosity"].present else []
    workdir, seed = flags.FLAGS.workdir, flags.FLAGS.seed
    return _parsed(ReproduceConfig), workdir, seed, [flag.serialize() for flag in given]
