"""Every command-line flag, made from the settings in simsiam_tf/config.py."""

import dataclasses
import gc
import pathlib
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import Any

from absl import flags

from simsiam_tf.config.augment import AugmentConfig, PerView
from simsiam_tf.config.data import DataConfig
from simsiam_tf.config.devices import DeviceConfig
from simsiam_tf.config.evaluation import EVALUATION_GROUPS, EvaluationConfig
from simsiam_tf.config.fields import Integers, Names, Numbers
from simsiam_tf.config.preview import PreviewConfig
from simsiam_tf.config.run import CONFIG_GROUPS, Config
from simsiam_tf.config.scale import SizeConfig
from simsiam_tf.errors import Stopped, UsageError
from simsiam_tf.reproduce.config import ReproduceConfig

_OLD_RUN = "The run, and the data where it is not the run's own"


class _PerViewParser(flags.ArgumentParser):
    """A number for both views, or two numbers and a comma between them."""

    syntactic_help = "a number, or one for each view: a,b"

    def parse(self, argument: Any) -> Any:
        try:
            numbers = tuple(float(part) for part in str(argument).split(","))
        except ValueError:
            numbers = ()
        if len(numbers) not in (1, 2):
            raise ValueError("it must be a number, or two with a comma between them, one for each view.")
        return numbers if len(numbers) == 2 else numbers[0]


class _ListParser(flags.ArgumentParser):
    """Values with commas between them.

    Args:
        kind: makes a value of its text.
        what: the values, for messages.
    """

    def __init__(self, kind: Callable[[str], Any], what: str):
        self._kind, self._what = kind, what
        self.syntactic_help = f"{what} with commas between them"

    def parse(self, argument: Any) -> tuple:
        parts = argument if isinstance(argument, tuple) else [p for p in str(argument).split(",") if p.strip()]
        try:
            return tuple(self._kind(part) for part in parts)
        except ValueError:
            raise ValueError(f"it must be {self._what}, with commas between them.") from None


class _CommaSerializer(flags.ArgumentSerializer):
    """The inverse, for --help."""

    def serialize(self, value: Any) -> str:
        parts = value if isinstance(value, tuple) else (value,)
        return ",".join(f"{p:g}" if isinstance(p, float) and float(f"{p:g}") == p else str(p) for p in parts)


def _define_list(kind: Callable[[str], Any], what: str) -> Callable[..., None]:
    def define(name: str, default: Any, text: str, **options: Any) -> None:
        flags.DEFINE(_ListParser(kind, what), name, default, text, serializer=_CommaSerializer(), **options)

    return define


def _define_per_view(name: str, default: Any, text: str, **options: Any) -> None:
    flags.DEFINE(_PerViewParser(), name, default, text, serializer=_CommaSerializer(), **options)


_DEFINE: dict[str, Any] = {
    "str": flags.DEFINE_string,
    "int": flags.DEFINE_integer,
    "float": flags.DEFINE_float,
    str(PerView): _define_per_view,
    str(Integers): _define_list(int, "whole numbers"),
    str(Numbers): _define_list(float, "numbers"),
    str(Names): _define_list(str.strip, "names"),
    "bool": flags.DEFINE_bool,
}


def _define(group: type) -> None:
    """One flag for each field of a dataclass, under the group's heading in --help."""
    heading = (group.__doc__ or group.__name__).splitlines()[0].rstrip(".")
    for field in dataclasses.fields(group):
        _define_field(field, field.default, field.metadata["help"], heading)


def _define_field(field: Any, default: Any, text: str, heading: str) -> None:
    kind = field.type.__name__ if type(field.type) is type else str(field.type)
    if field.metadata["choices"] and kind == "str":
        flags.DEFINE_enum(field.name, default, field.metadata["choices"], text, module_name=heading)
    else:
        _DEFINE[kind](field.name, default, text, module_name=heading)


def _values(group: type) -> dict[str, Any]:
    return {field.name: flags.FLAGS[field.name].value for field in dataclasses.fields(group)}


def define_training_flags() -> None:
    """The flags of train.py."""
    for group in (*CONFIG_GROUPS.values(), SizeConfig):
        _define(group)


def training_config() -> Config:
    """The run that the parsed flags ask for."""
    return _config(sys.argv)


def _config(arguments):
    groups = {name: group(**_values(group)) for name, group in CONFIG_GROUPS.items()}
    return SizeConfig(**_values(SizeConfig)).of(Config(**groups, recipe=recipe_name(arguments)))


def training_config_of(arguments: Sequence[str]) -> Config:
    """The run that train.py's flags, given as a list, ask for; for scripts with flags of another kind besides.

    Args:
        arguments: of one run; may be called again with another's.

    Raises:
        UsageError: if there is no such run.
    """
    if "epochs_scale" not in flags.FLAGS:
        define_training_flags()
    for group in (*CONFIG_GROUPS.values(), SizeConfig):
        for field in dataclasses.fields(group):
            flags.FLAGS[field.name].unparse()
    try:
        flags.FLAGS(["", *arguments])
    except flags.Error as error:
        raise UsageError(str(error)) from error
    return _config(arguments)


def recipe_name(arguments: Sequence[str]) -> str:
    """The stems of the flagfiles on a command line, joined by '+'; `custom` without any."""
    pairs = zip(arguments, [*arguments[1:], ""], strict=True)
    files = [a.partition("=")[2] or b for a, b in pairs if a.lstrip("-").partition("=")[0] == "flagfile"]
    return "+".join(pathlib.Path(file).stem for file in files) or "custom"


def define_workdir_flag() -> None:
    """The flag of commands that look at a run."""
    flags.DEFINE_string("workdir", "", "Folder of the run that is looked at.", module_name=_OLD_RUN)


def workdir() -> str:
    """The value of that flag."""
    return flags.FLAGS.workdir


_DATA_OF_ANOTHER_SET = ("dataset", "data_dir", "download", "train_split", "eval_split", "max_bad_fraction")
_DEVICES_OF_AN_EVALUATION = ("strategy", "tpu", "cpu_devices")


def define_evaluation_flags() -> None:
    """The flags of evaluate.py. What concerns the data is the run's own unless given."""
    for group in EVALUATION_GROUPS.values():
        _define(group)
    flags.DEFINE_multi_string(
        "workdir",
        [],
        "Folder of the run; 'report' takes several, each as a --workdir of its own.",
        module_name=_OLD_RUN,
    )
    for field in dataclasses.fields(DataConfig):
        if field.name in _DATA_OF_ANOTHER_SET:
            _define_field(field, None, f"{field.metadata['help']} By default the run's own.", _OLD_RUN)
    for field in dataclasses.fields(DeviceConfig):
        if field.name in _DEVICES_OF_AN_EVALUATION:
            _define_field(field, field.default, field.metadata["help"], "Devices that embed and fine-tune")


def evaluation_config() -> tuple[list[str], EvaluationConfig, dict[str, Any], DeviceConfig]:
    """The workdirs, the evaluation, the data settings that differ from the run's, and the devices."""
    given = {name: flags.FLAGS[name].value for name in _DATA_OF_ANOTHER_SET if flags.FLAGS[name].value is not None}
    chosen: dict[str, Any] = {name: flags.FLAGS[name].value for name in _DEVICES_OF_AN_EVALUATION}
    groups = {name: group(**_values(group)) for name, group in EVALUATION_GROUPS.items()}
    return flags.FLAGS.workdir, EvaluationConfig(**groups), given, DeviceConfig(**chosen)


def define_preview_flags() -> None:
    """The flags of the preview: those of a run, and the picture's."""
    _define(PreviewConfig)
    define_training_flags()


def preview_config() -> tuple[PreviewConfig, DataConfig, AugmentConfig, int]:
    """The picture, and what it depends on of a run: data, augmentation and seed."""
    return (
        PreviewConfig(**_values(PreviewConfig)),
        DataConfig(**_values(DataConfig)),
        AugmentConfig(**_values(AugmentConfig)),
        flags.FLAGS.seed,
    )


def define_reproduce_flags() -> None:
    """The flags of the reproduction, and those of its runs."""
    _define(ReproduceConfig)
    define_training_flags()


def reproduce_config() -> tuple[ReproduceConfig, str, int, list[str]]:
    """The reproduction, its folder, its first seed, and the flags that are given to every run."""
    groups = (*CONFIG_GROUPS.values(), SizeConfig)
    names = [field.name for group in groups for field in dataclasses.fields(group)]
    given = [flags.FLAGS[name] for name in names if flags.FLAGS[name].present and name not in ("workdir", "seed")]
    workdir, seed = flags.FLAGS.workdir, flags.FLAGS.seed
    return ReproduceConfig(**_values(ReproduceConfig)), workdir, seed, [flag.serialize() for flag in given]


def run(define: Callable[[], None], main: Callable[[], None]) -> None:
    """Parses the command line, calls `main`, and exits.

    The exit code is 0, or 2 with one sentence for a request that cannot be met, 3 with one for a run that
    diverged, 1 with one for a run that lost a worker, 128 and the signal's number after one that stopped it.

    Args:
        define: defines the script's flags.
        main: does its work.
    """
    define()
    flags.FLAGS.set_gnu_getopt(True)
    if any(argument.lstrip("-") in ("h", "help", "helpfull") for argument in sys.argv[1:]):
        print(f"{sys.modules['__main__'].__doc__}\nFlags:{flags.FLAGS.get_help(include_special_flags=False)}")
        sys.exit(0)
    # Exiting only after the except clause lets go of the error, and with it of tf.data's iterators: left to the
    # interpreter's end, their threads would wait for Python for ever.
    code = _code_of(main)
    if code:
        gc.collect()
        sys.exit(code)


def _code_of(main):
    """Calls `main`; the exit code, after a word on what went wrong."""
    try:
        rest = flags.FLAGS(sys.argv)[1:]
        if rest:
            raise UsageError(f"Arguments must be flags, as --name=value. Received: {' '.join(rest)}.")
        main()
        return 0
    except (flags.Error, UsageError, PermissionError) as error:
        return _say(2, str(error))
    except FloatingPointError as error:
        return _say(3, str(error))
    except ConnectionError as error:
        return _say(1, str(error))
    except Stopped as stopped:
        print(stopped)
        return stopped.exit_code
    except KeyboardInterrupt:
        return _say(130, "Interrupted; give the same command again to go on.")
    except Exception:  # a mistake of ours
        traceback.print_exc()
        return 1


def _say(code, message):
    print(f"error: {' '.join(message.split())}", file=sys.stderr)
    return code
