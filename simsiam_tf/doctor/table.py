"""Lists the checks, in the order of the rows."""

import dataclasses
from collections.abc import Sequence

from simsiam_tf.config.run import Config
from simsiam_tf.doctor.checks import Check
from simsiam_tf.errors import check as check_rule

_ROOM = "simsiam_tf.doctor."
# Checks that need no TensorFlow, whose process starts quickly and lives to the end.
_PLAIN = "plain"
_OF_MEASURED = ("settings", "data set")

CHECKS = (
    Check("versions", f"{_ROOM}versions:versions", _PLAIN),
    Check("memory", f"{_ROOM}memory:memory", _PLAIN),
    Check("devices", f"{_ROOM}devices:devices", "machine"),
    Check("training step", f"{_ROOM}training_step:training_step", "machine"),
    Check("pixels of the views", f"{_ROOM}augmentation:pixels", "machine"),
    Check("views and epochs", f"{_ROOM}augmentation:views", "machine"),
    Check("step of shapes_demo", f"{_ROOM}demo:step", "machine"),
    Check("batch norm", f"{_ROOM}replicas:batch_norm", "replicas"),
    Check("settings", f"{_ROOM}settings:settings", "run", of_run=True),
    Check("data set", f"{_ROOM}settings:data_set", "run", of_run=True, needs=("settings",)),
    Check("images", f"{_ROOM}images:images", "images", of_run=True),
    Check("views", f"{_ROOM}augmentation:views_of_run", "run", of_run=True, needs=_OF_MEASURED),
    Check("step", f"{_ROOM}step:step", "run", of_run=True, needs=_OF_MEASURED),
    Check("input", f"{_ROOM}input:input_rate", "run", of_run=True, needs=(*_OF_MEASURED, "step")),
    Check("length", f"{_ROOM}length:length", "run", of_run=True, needs=("step", "input")),
    Check("room", f"{_ROOM}place:room", "place", of_run=True, needs=("step",)),
    Check("workdir", f"{_ROOM}place:folder", "place", of_run=True),
)

# Chooses the settings of a run whose command names none, before the others.
CHOICE = Check("settings", f"{_ROOM}settings:chosen", "choice", of_run=True)


def checks_for(config: Config | None, names: Sequence[str] = ()) -> tuple[Check, ...]:
    """Returns the checks. Where the images need TensorFlow, they are inspected in a process that has loaded it.

    Args:
        config: the settings of the run; `None` if no run is asked about.
        names: the names of the checks to run, besides those that they need; none for all.

    Raises:
        UsageError: if there is no check of such a name.
    """
    check_names(names)
    wanted = set(names)
    for check in reversed(CHECKS):  # a check needs only those above it
        wanted |= set(check.needs) if check.name in wanted else set()
    chosen = tuple(check for check in CHECKS if not names or check.name in wanted)
    if config is None or config.data.dataset == "folder":
        return chosen
    return tuple(dataclasses.replace(c, process="run") if c.name == "images" else c for c in chosen)


def check_names(names: Sequence[str]) -> None:
    """Checks that there are checks of some names.

    Args:
        names: the value of --checks.

    Raises:
        UsageError: if there is none of one of them.
    """
    known = [check.name for check in CHECKS]
    unknown = [name for name in names if name not in known]
    check_rule(not unknown, f"--checks must be of {', '.join(known)}.", ", ".join(unknown))
