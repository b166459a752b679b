"""Lists the checks, in the order of the rows."""

import dataclasses

from simsiam_tf.config.run import Config
from simsiam_tf.doctor.checks import Check

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
    Check("batch norm, devices", f"{_ROOM}replicas:batch_norm", "replicas"),
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


def checks_for(config: Config | None) -> tuple[Check, ...]:
    """Returns the checks. Where the images need TensorFlow, they are inspected in a process that has loaded it.

    Args:
        config: the settings of the run; `None` if no run is asked about.
    """
    if config is None or config.data.dataset == "folder":
        return CHECKS
    return tuple(dataclasses.replace(c, process="run") if c.name == "images" else c for c in CHECKS)
