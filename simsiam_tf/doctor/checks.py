"""Declares what a check is: a function that answers one question about the machine or a run."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal

from simsiam_tf.config.run import Config
from simsiam_tf.errors import UsageError

State = Literal["pass", "warn", "fail", "not asked"]
# The states, the worst first.
STATES: tuple[State, ...] = "fail", "warn", "pass", "not asked"
# The value of a check that took too long, or that needs the result of another which has none.
NOT_MEASURED = "not measured"


@dataclasses.dataclass(frozen=True)
class Outcome:
    """Holds what a check answers.

    Attributes:
        state: `pass`, `warn`, `fail` or `not asked`.
        value: what was found, as a phrase.
        advice: what to do about it, as a phrase; empty if nothing need be done.
        facts: numbers for later checks, by name, of types that JSON knows.
    """

    state: State
    value: str
    advice: str = ""
    facts: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Result:
    """Holds a row of the table: the name of a check, and what it answered."""

    name: str
    state: State
    value: str
    advice: str = ""


@dataclasses.dataclass(frozen=True)
class Asked:
    """Holds what the checks are asked about.

    Attributes:
        config: the settings of the run; `None` if no run is asked about.
        has_workdir: whether the folder of the run is known. If not, `config` names one that does not exist.
        facts: the facts of the checks before, by name.
    """

    config: Config | None = None
    has_workdir: bool = False
    facts: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def run(self) -> Config:
        """Returns the settings of the run, for a check that is about one.

        Raises:
            UsageError: if no run is asked about.
        """
        if self.config is None:
            raise UsageError("This check needs the flags of a run. Received: none.")
        return self.config

    @property
    def precision(self) -> str:
        """Returns the precision of the run; that of runs by default if none is asked about."""
        return self.config.devices.precision if self.config is not None else "float32"


@dataclasses.dataclass(frozen=True)
class Check:
    """Describes a check.

    Attributes:
        name: the name of its row.
        function: the place of its function, from `Asked` to `Outcome`, as `module:name`. It is imported in a child
            process alone.
        process: the name of the child process that runs it. Checks of the same name share a process, and so what
            TensorFlow holds in it.
        of_run: whether it is about a run, so that it is not asked without one.
        needs: the names of the checks whose results it needs.
    """

    name: str
    function: str
    process: str
    of_run: bool = False
    needs: tuple[str, ...] = ()


def worst(states: list[State]) -> State:
    """Returns the state of the whole: the worst of its rows; `pass` if none of them was asked.

    Args:
        states: the states of the rows.

    Example:
        >>> worst(["pass", "not asked", "warn"])
        'warn'
    """
    return next((state for state in STATES if state in states and state != "not asked"), "pass")
