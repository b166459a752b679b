"""Defines the flags of the doctor: its own, and those of train.py, so that its command line can be given."""

import os
import sys
import tempfile
from collections.abc import Sequence
from typing import Any

from absl import flags

from simsiam_tf.cli.command_line import flagfiles
from simsiam_tf.cli.flags import (
    check_not_empty,
    chooses_settings,
    define_group,
    define_training_flags,
    given_flags,
    parsed_group,
    start_config,
    training_config,
    training_config_of,
)
from simsiam_tf.config.doctor import DoctorConfig
from simsiam_tf.config.run import Config


def define_doctor_flags() -> None:
    """Defines the flags of the doctor."""
    define_group(DoctorConfig)
    define_training_flags()


def doctor_config() -> DoctorConfig:
    """Returns the settings of the doctor that the parsed flags ask for."""
    check_not_empty("checks")
    return parsed_group(DoctorConfig)


def names_workdir() -> bool:
    """Returns whether the command line names the folder of the run."""
    return flags.FLAGS["workdir"].present > 0


def asked_run() -> Config | None:
    """Returns the settings of the run that the flags describe; `None` if there is no flag of a run.

    A run without --workdir gets a path at which nothing exists, and which is not made.
    """
    if not given_flags() and not flagfiles(sys.argv[1:]):
        return None
    if not names_workdir():
        flags.FLAGS["workdir"].value = _nowhere()
    return training_config()


def choice_asked() -> dict[str, Any] | None:
    """Returns what the choice of settings depends on besides images and machine; `None` if the flags name settings."""
    if not chooses_settings():
        return None
    given = given_flags()
    values = {name: value.value for name, value in ((name, flags.FLAGS[name]) for name in sorted(given))}
    return {"given": values, "budget_minutes": start_config().budget_minutes}


def chosen_run(arguments: Sequence[str]) -> Config:
    """Returns the settings of a run by the flags that were chosen, and those of the command line.

    Args:
        arguments: the chosen flags, as `--name=value`.
    """
    nowhere = [] if names_workdir() else [f"--workdir={_nowhere()}"]
    return training_config_of([*arguments, *sys.argv[1:], *nowhere])


def _nowhere() -> str:
    return os.path.join(tempfile.gettempdir(), f"simsiam_tf-doctor-{os.getpid()}")
