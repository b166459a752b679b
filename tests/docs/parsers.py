"""Asks the parser of each command whether it takes the flags that a page shows."""

from absl import flags

from simsiam_tf.cli import flags as module
from simsiam_tf.cli.command_line import parse_flags
from simsiam_tf.cli.doctor_flags import define_doctor_flags
from simsiam_tf.cli.transfer_flags import define_transfer_flags
from simsiam_tf.config.runs import RunsConfig
from simsiam_tf.errors import UsageError

DEFINED_BY = {
    "train.py": module.define_training_flags,
    "evaluate.py": module.define_evaluation_flags,
    "transfer.py": define_transfer_flags,
    "simsiam_tf.cli.prepare": module.define_prepare_flags,
    "simsiam_tf.cli.convert": module.define_conversion_flags,
    "simsiam_tf.cli.inspect": module.define_inspect_flags,
    "simsiam_tf.augment.preview": module.define_preview_flags,
    "simsiam_tf.cli.preview": module.define_preview_flags,
    "simsiam_tf.cli.doctor": define_doctor_flags,
    "simsiam_tf.cli.replay": module.define_workdir_flag,
    "simsiam_tf.reproduce": module.define_reproduce_flags,
    "simsiam_tf.cli.runs": lambda: module.define_group(RunsConfig),
}
TAKES_WORDS = ("simsiam_tf.cli.runs", "simsiam-runs")
# The same commands in an installed package.
for _name in ("train", "evaluate", "transfer"):
    DEFINED_BY[f"simsiam-{_name}"] = DEFINED_BY[f"{_name}.py"]
for _name in ("prepare", "convert", "inspect", "preview", "doctor", "replay", "runs"):
    DEFINED_BY[f"simsiam-{_name}"] = DEFINED_BY[f"simsiam_tf.cli.{_name}"]
DEFINED_BY["simsiam-reproduce"] = DEFINED_BY["simsiam_tf.reproduce"]


def refusal(monkeypatch, program: str, arguments: list[str], words: bool = False) -> str:
    """Returns why a command refuses its flags; an empty string if it takes them.

    Args:
        monkeypatch: pytest's.
        program: a key of `DEFINED_BY`.
        arguments: the arguments of the command.
        words: whether arguments may be words that are no flags.
    """
    monkeypatch.setattr(flags, "FLAGS", flags.FlagValues())  # as in a new process
    DEFINED_BY[program]()
    if len(arguments) == 1 and "=" not in arguments[0] and arguments[0].lstrip("-") in flags.FLAGS:
        return ""  # a flag that is only named
    try:
        rest = parse_flags([program, *arguments])[1:]
    except UsageError as error:
        return str(error)
    return f"no flags: {rest}" if rest and not words else ""
