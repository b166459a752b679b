"""What a setting is: a field of a frozen dataclass that says its default, its meaning and its choices."""

import dataclasses
import math
from typing import Any

from simsiam_tf.errors import check

# Settings that hold several values.
Numbers = tuple[float, ...]
Integers = tuple[int, ...]
Names = tuple[str, ...]


def option(default: Any, help: str, choices: tuple[str, ...] = (), identity: bool = True) -> Any:
    """A setting: its default, what it does, its possible values, and whether it makes another run."""
    return dataclasses.field(default=default, metadata={"help": help, "choices": choices, "identity": identity})


def method_option(help: str, choices: tuple[str, ...], defaults: dict[str, Any]) -> Any:
    """A setting that some methods have, and what it is by default in each."""
    own = ", ".join(f"{method} {value}" for method, value in defaults.items())
    metadata = {"help": f"{help} By default: {own}.", "choices": choices, "identity": True, "methods": defaults}
    return dataclasses.field(default=None, metadata=metadata)


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
