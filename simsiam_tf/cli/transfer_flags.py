"""Makes the flags of transfer.py, and its settings from them."""

import sys
from collections.abc import Sequence
from typing import Any

from absl import flags

from simsiam_tf.cli.command_line import parse_flags
from simsiam_tf.cli.console import define_verbosity_flag
from simsiam_tf.cli.flags import define_group, parsed_group, recipe_name
from simsiam_tf.cli.recipes import define_recipe_flags
from simsiam_tf.config.transfer import TRANSFER_GROUPS, TransferConfig
from simsiam_tf.errors import UsageError, check


def define_transfer_flags() -> None:
    """Defines the flags of transfer.py."""
    define_recipe_flags("transfer")
    for group in TRANSFER_GROUPS.values():
        define_group(group)


def transfer_config(arguments: Sequence[str] | None = None) -> TransferConfig:
    """Returns the configuration of the transfer that the parsed flags ask for.

    Args:
        arguments: the command line that was parsed; by default that of the process.
    """
    groups: dict[str, Any] = {name: parsed_group(group) for name, group in TRANSFER_GROUPS.items()}
    return TransferConfig(**groups, recipe=recipe_name(sys.argv if arguments is None else arguments))


def transfer_config_of(arguments: Sequence[str]) -> TransferConfig:
    """Returns the configuration of the transfer that a list of flags of transfer.py asks for.

    Each call starts from the defaults. The flags of the command that calls it stay as they are.

    Args:
        arguments: the flags, as `--name=value`.

    Raises:
        UsageError: if a flag or a value is not possible.
    """
    # Many flags of transfer.py have the names of train.py's, so that the two sets cannot be defined side by side.
    of_the_command, flags.FLAGS = flags.FLAGS, flags.FlagValues()
    try:
        define_transfer_flags()
        define_verbosity_flag()
        flags.FLAGS.set_gnu_getopt(True)
        rest = parse_flags(["", *arguments])[1:]
        check(not rest, "Arguments must be flags, as --name=value.", " ".join(rest))
        return transfer_config(arguments)
    except flags.Error as error:
        raise UsageError(str(error)) from error
    finally:
        flags.FLAGS = of_the_command
