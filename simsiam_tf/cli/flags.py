"""Makes command-line flags from the dataclasses of simsiam_tf/config, and the dataclasses from the parsed flags.

flags/definitions.py lists which dataclass each group of flags comes from.
"""

import dataclasses
import pathlib
import sys
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from absl import flags

from simsiam_tf.cli.command_line import flagfiles, parse_flags
from simsiam_tf.cli.parsers import (
    CommaSerializer,
    IntegerParser,
    ListParser,
    NumberParser,
    PerViewParser,
    number,
    whole_number,
)
from simsiam_tf.cli.recipes import define_recipe_flags
from simsiam_tf.config.augment import AugmentConfig, PerView
from simsiam_tf.config.data import DataConfig
from simsiam_tf.config.detection_data import OF_OBJECTS, DetectionDataConfig
from simsiam_tf.config.devices import DeviceConfig
from simsiam_tf.config.evaluation import EVALUATION_GROUPS, EvaluationConfig
from simsiam_tf.config.fields import Integers, Names, Numbers, Setting, SettingsGroup
from simsiam_tf.config.inspection import InspectConfig
from simsiam_tf.config.model import ModelConfig
from simsiam_tf.config.optimizer import OptimizerConfig
from simsiam_tf.config.preparation import PrepareConfig
from simsiam_tf.config.preview import PreviewConfig
from simsiam_tf.config.run import CONFIG_GROUPS, Config
from simsiam_tf.config.scale import SizeConfig
from simsiam_tf.config.start import StartConfig
from simsiam_tf.errors import UsageError, check
from simsiam_tf.reproduce.config import ReproduceConfig

_OLD_RUN = "Run, and data other than the run's own"
# With a setting of these groups, or a flagfile, the user chooses how to train.
_CHOSEN_BY_RECIPES: tuple[type[SettingsGroup], ...] = ModelConfig, OptimizerConfig, AugmentConfig, SizeConfig


def _define_with(parser: flags.ArgumentParser, serializer: flags.ArgumentSerializer) -> Callable[..., None]:
    def define(name: str, default: Any, text: str, **options: Any) -> None:
        flags.DEFINE(parser, name, default, text, serializer=serializer, **options)

    return define


_DEFINE: dict[Any, Callable[..., Any]] = {
    str: flags.DEFINE_string,
    int: _define_with(IntegerParser(), flags.ArgumentSerializer()),
    float: _define_with(NumberParser(), flags.ArgumentSerializer()),
    bool: flags.DEFINE_bool,
    PerView: _define_with(PerViewParser(), CommaSerializer()),
    Integers: _define_with(ListParser(whole_number, "whole numbers"), CommaSerializer()),
    Numbers: _define_with(ListParser(number, "numbers"), CommaSerializer()),
    Names: _define_with(ListParser(str.strip, "names"), CommaSerializer()),
}

_Group = TypeVar("_Group", bound=SettingsGroup)


def define_group(group: type[SettingsGroup]) -> None:
    """Defines one flag for each setting, under the group's heading in --help."""
    heading = (group.__doc__ or group.__name__).splitlines()[0].rstrip(".")
    for setting in group.settings():
        _define_setting(setting, heading)


def _define_setting(setting: Setting, heading: str) -> None:
    name, default, text = setting.name, setting.default, setting.help
    where: dict[str, Any] = {"module_name": heading, "flag_values": flags.FLAGS}
    if setting.choices and setting.type is str:
        flags.DEFINE_enum(name, default, setting.choices, text, **where)
    else:
        _DEFINE[setting.type](name, default, text, **where)


def parsed_group(group: type[_Group]) -> _Group:
    """Makes a group of settings from the parsed flags."""
    return group.from_values({setting.name: flags.FLAGS[setting.name].value for setting in group.settings()})


def check_not_empty(name: str) -> None:
    """Raises a UsageError if a flag that names some of several things is given, and names none.

    That is what an unset variable of a shell makes of it, and by default everything is done.
    """
    given = flags.FLAGS[name]
    check(bool(given.value) or not given.present, f"--{name} must name something; leave it out for all.", f"--{name}=")


def _training_settings() -> list[Setting]:
    groups: list[type[SettingsGroup]] = [*CONFIG_GROUPS.values(), SizeConfig]
    return [setting for group in groups for setting in group.settings()]


def define_training_flags() -> None:
    """Defines the flags of train.py: those of a run, and those of its start."""
    define_run_flags()
    define_group(StartConfig)


def define_run_flags() -> None:
    """Defines the flags that describe a run."""
    define_recipe_flags("train")
    for group in (*CONFIG_GROUPS.values(), SizeConfig):
        define_group(group)


def start_config() -> StartConfig:
    """Returns the settings of the start that the parsed flags ask for."""
    return parsed_group(StartConfig)


def chooses_settings() -> bool:
    """Returns whether train.py is to choose the settings of the run.

    It does for a folder of images, if the command names no flagfile and no flag of the model, the optimizer, the
    augmentation or the size.
    """
    given = given_flags()
    named = any(setting.name in given for group in _CHOSEN_BY_RECIPES for setting in group.settings())
    return flags.FLAGS.dataset == "folder" and not flagfiles(sys.argv[1:]) and not named


def given_flags() -> frozenset[str]:
    """Returns the names of the settings of a run that the command line gives."""
    return frozenset(setting.name for setting in _training_settings() if flags.FLAGS[setting.name].present)


def training_config() -> Config:
    """Returns the configuration of the run that the parsed flags ask for."""
    return _config(sys.argv)


def _config(arguments: Sequence[str]) -> Config:
    groups: dict[str, Any] = {name: parsed_group(group) for name, group in CONFIG_GROUPS.items()}
    return parsed_group(SizeConfig).apply(Config(**groups, recipe=recipe_name(arguments)))


def training_config_of(arguments: Sequence[str]) -> Config:
    """Returns the configuration of the run that a list of flags of train.py asks for.

    This is for scripts that have other flags of their own. Each call starts from the defaults.

    Args:
        arguments: the flags, as `--name=value`.

    Raises:
        UsageError: if a flag or a value is not possible.
    """
    if "epochs_scale" not in flags.FLAGS:
        define_run_flags()
    for setting in _training_settings():
        flags.FLAGS[setting.name].unparse()
    try:
        parse_flags(["", *arguments])
    except flags.Error as error:
        raise UsageError(str(error)) from error
    return _config(arguments)


def recipe_name(arguments: Sequence[str]) -> str:
    """Returns the names of the flagfiles on a command line, without folder and ending, joined by '+'; or `custom`."""
    return "+".join(pathlib.Path(file).stem for file in flagfiles(arguments)) or "custom"


def define_workdir_flag() -> None:
    """Defines the flag of a command on one run."""
    flags.DEFINE_string("workdir", "", "Folder of the run.", module_name=_OLD_RUN, flag_values=flags.FLAGS)


def workdir_flag() -> str:
    """Returns the folder of the run that the command names."""
    return flags.FLAGS.workdir


_DATA_OF_ANOTHER_SET = (
    *("dataset", "data_dir", "layout", "file_list", "labels", "holdout", "download", "image_feature", "label_feature"),
    *("index", "index_dir"),
    *("train_split", "eval_split", "exif", "alpha", "value_range", "channels", "max_pixels", "data_changed"),
    "max_bad_fraction",
)
_DEVICES_OF_AN_EVALUATION = ("strategy", "tpu", "cpu_devices")


def define_evaluation_flags() -> None:
    """Defines the flags of evaluate.py. By default, the data are those of the run."""
    for group in EVALUATION_GROUPS.values():
        define_group(group)
    flags.DEFINE_multi_string(
        "workdir",
        [],
        "Folder of the run. 'report' takes several, each with a --workdir of its own.",
        module_name=_OLD_RUN,
        flag_values=flags.FLAGS,
    )
    _define_data(_OLD_RUN, _DATA_OF_ANOTHER_SET, " By default that of the run.")
    for setting in DetectionDataConfig.settings():
        if setting.name in OF_OBJECTS:
            text = f"{setting.help} Of a run of transfer.py; by default that of the run."
            _define_setting(dataclasses.replace(setting, default=None, help=text), _OLD_RUN)
    for setting in DeviceConfig.settings():
        if setting.name in _DEVICES_OF_AN_EVALUATION:
            _define_setting(setting, "Devices of the evaluation")


def _define_data(heading: str, names: Sequence[str], by_default: str = "") -> None:
    for setting in DataConfig.settings():
        if setting.name in names:
            _define_setting(dataclasses.replace(setting, default=None, help=setting.help + by_default), heading)


def _given_data(names: Sequence[str]) -> dict[str, Any]:
    return {name: flags.FLAGS[name].value for name in names if flags.FLAGS[name].value is not None}


def evaluation_config() -> tuple[list[str], EvaluationConfig, dict[str, Any], DeviceConfig]:
    """Returns the workdirs, the evaluation's settings, the data settings that replace the run's, and the devices."""
    given = _given_data((*_DATA_OF_ANOTHER_SET, *OF_OBJECTS))
    chosen: dict[str, Any] = {name: flags.FLAGS[name].value for name in _DEVICES_OF_AN_EVALUATION}
    groups: dict[str, Any] = {name: parsed_group(group) for name, group in EVALUATION_GROUPS.items()}
    return flags.FLAGS.workdir, EvaluationConfig(**groups), given, DeviceConfig(**chosen)


_FOR_A_CONVERSION = "Data for the network; by default ImageNet, or CIFAR-10 if it has the stem for small images"
_OF_A_CONVERSION = {
    "from": "File of weights, or a folder of timm: what --init_weights of train.py takes.",
    "to": "Folder to make, which must not exist.",
    "arch": "Architecture of the backbone that is expected; by default the one that the weights tell.",
}


def define_conversion_flags() -> None:
    """Defines the flags of the conversion of weights. By default, the data are those that the network is known for."""
    for name, text in _OF_A_CONVERSION.items():
        flags.DEFINE_string(name, "", text, module_name="Conversion of weights", flag_values=flags.FLAGS)
    _define_data(_FOR_A_CONVERSION, (*_DATA_OF_ANOTHER_SET, "image_size"))


def conversion_config() -> tuple[str, str, str, dict[str, Any]]:
    """Returns the file of weights, the folder to make, the expected architecture, and the settings of the data."""
    values = {name: str(flags.FLAGS[name].value) for name in _OF_A_CONVERSION}
    return values["from"], values["to"], values["arch"], _given_data((*_DATA_OF_ANOTHER_SET, "image_size"))


def define_preview_flags() -> None:
    """Defines the flags of the preview: those of a run, and those of the picture."""
    define_group(PreviewConfig)
    define_run_flags()


def preview_config() -> tuple[PreviewConfig, DataConfig, AugmentConfig, int]:
    """Returns the settings of the picture, and what it shows of a run: its data, augmentation and seed."""
    return parsed_group(PreviewConfig), parsed_group(DataConfig), parsed_group(AugmentConfig), flags.FLAGS.seed


def define_inspect_flags() -> None:
    """Defines the flags of the inspection: its own, and those of train.py, so that its command line can be given."""
    define_group(InspectConfig)
    define_training_flags()


def inspect_config() -> tuple[InspectConfig, DataConfig]:
    """Returns the settings of the inspection, and of the data that it inspects."""
    return parsed_group(InspectConfig), parsed_group(DataConfig)


def define_prepare_flags() -> None:
    """Defines the flags of the preparation: its own, and those of train.py, so that its command line can be given."""
    define_group(PrepareConfig)
    define_training_flags()


def prepare_config() -> tuple[PrepareConfig, DataConfig]:
    """Returns the settings of the preparation, and of the data that it prepares."""
    return parsed_group(PrepareConfig), parsed_group(DataConfig)


def define_reproduce_flags() -> None:
    """Defines the flags of the reproduction: its own, and those of its runs."""
    define_group(ReproduceConfig)
    define_run_flags()


def reproduce_config() -> tuple[ReproduceConfig, str, int, list[str]]:
    """Returns the settings of the reproduction, its folder, its first seed, and the flags to give to every run."""
    names = [setting.name for setting in _training_settings()]
    given = [flags.FLAGS[name] for name in names if flags.FLAGS[name].present and name not in ("workdir", "seed")]
    given += [flags.FLAGS["verbosity"]] if flags.FLAGS["verbosity"].present else []
    check_not_empty("rows")
    workdir, seed = flags.FLAGS.workdir, flags.FLAGS.seed
    return parsed_group(ReproduceConfig), workdir, seed, [flag.serialize() for flag in given]
