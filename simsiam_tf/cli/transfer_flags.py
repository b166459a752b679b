"""Turns a list of flags of transfer.py into its settings, for commands that have other flags of their own."""

from collections.abc import Sequence

from absl import flags

from simsiam_tf.cli.command_line import parse_flags
from simsiam_tf.cli.console import define_verbosity_flag
from simsiam_tf.cli.flags import define_transfer_flags, transfer_config
from simsiam_tf.config.transfer import TransferConfig
from simsiam_tf.errors import UsageError, check


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
