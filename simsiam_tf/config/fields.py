"""What a setting is: a field of a frozen dataclass that says its default, its meaning and its choices."""

import dataclasses
import math
import os
from typing import Any

# Settings that hold several values.
Numbers = tuple[float, ...]
Integers = tuple[int, ...]
Names = tuple[str, ...]


class UsageError(ValueError):
    """A request that cannot be met, in one sentence for the person who made it; the scripts exit with 2."""


def option(default: Any, help: str, choices: tuple[str, ...] = (), identity: bool = True) -> Any:
    """A setting: its default, what it does, its possible values, and whether it makes another run."""
    return dataclasses.field(default=default, metadata={"help": help, "choices": choices, "identity": identity})


def method_option(help: str, choices: tuple[str, ...], defaults: dict[str, Any]) -> Any:
    """A setting that some methods have, and what it is by default in each."""
    own = ", ".join(f"{method} {value}" for method, value in defaults.items())
    metadata = {"help": f"{help} By default: {own}.", "choices": choices, "identity": True, "methods": defaults}
    return dataclasses.field(default=None, metadata=metadata)


def check(condition: bool, rule: str, received: Any) -> None:
    """Raises a UsageError that states the rule and what was received, unless `condition` holds."""
    if not condition:
        raise UsageError(f"{rule} Received: {received}.")


class Validated:
    """Settings that are checked when they are made."""

    def __post_init__(self):
        for field in dataclasses.fields(self):
            value, choices = getattr(self, field.name), field.metadata["choices"]
            parts = value if isinstance(value, tuple) else (value,)
            for part in parts if choices else ():
                check(
                    part is None or part in choices, f"--{field.name} must be one of {', '.join(choices)}.", repr(part)
                )
            for number in parts:
                if isinstance(number, int | float) and not isinstance(number, bool):
                    check(math.isfinite(number), f"--{field.name} must be a finite number.", number)
                    check(number >= 0, f"--{field.name} must not be negative.", number)
        self.validate()

    def validate(self) -> None:
        """Checks what the choices do not say."""


def expand(path: str) -> str:
    """A path as the user means it, `~` included."""
    return os.path.abspath(os.path.expanduser(path))
