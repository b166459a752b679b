"""Defines settings: fields of frozen dataclasses, each with its default, its explanation and its choices."""

import dataclasses
import math
import typing
from collections.abc import Mapping
from typing import Any, Literal, Self

from simsiam_tf.errors import check

# Types of settings that hold several values.
Numbers = tuple[float, ...]
Integers = tuple[int, ...]
Names = tuple[str, ...]

_REQUIRED = object()


def option(
    default: Any,
    help: str,
    choices: tuple[str, ...] = (),
    *,
    identity: bool = True,
    positive: bool = False,
    absent: Any = _REQUIRED,
) -> Any:
    """Declares a setting as a field of a dataclass.

    Args:
        default: the value if none is given.
        help: the explanation for --help.
        choices: the possible values, unless the type of the field is a `Literal` of them.
        identity: whether another value makes another run, so that a workdir cannot be resumed with it.
        positive: whether 0 is refused. Negative numbers are always refused.
        absent: the value in a run whose config.json is older than the setting. It must describe what that run did.
            Settings that did not exist in format 1 must have it (tests/config/test_format.py).

    Example:
        epochs: int = option(100, "Passes over the images.", positive=True)
    """
    metadata = {"help": help, "choices": choices, "identity": identity, "positive": positive, "absent": absent}
    return dataclasses.field(default=default, metadata=metadata)


@dataclasses.dataclass(frozen=True)
class Setting:
    """Describes a setting, as flags and config.json need it.

    Attributes:
        name: the name of the flag, and the key in config.json.
        type: the type of the values; `str`, or `Names` for several, if there are choices.
        default: the value if none is given.
        help: the explanation for --help.
        choices: the possible values; empty if any value of the type is possible.
        identity: whether another value makes another run.
        positive: whether 0 is refused.
        absent: the value in a run that is older than the setting; `default`, unless `option` was given another one.
        says_absent: whether `option` was given `absent`.
    """

    name: str
    type: Any
    default: Any
    help: str
    choices: tuple[str, ...] = ()
    identity: bool = True
    positive: bool = False
    absent: Any = None
    says_absent: bool = False

    @classmethod
    def from_field(cls, field: dataclasses.Field) -> "Setting":
        """Makes the description of a field that `option` declared."""
        metadata = dict(field.metadata)
        kind, choices = _without_literal(field.type)
        metadata["choices"] = metadata["choices"] or choices
        metadata["says_absent"] = metadata["absent"] is not _REQUIRED
        if not metadata["says_absent"]:
            metadata["absent"] = field.default
        return cls(field.name, kind, field.default, **metadata)

    def check(self, value: Any) -> None:
        """Checks a value of the setting.

        Raises:
            UsageError: if the setting cannot have this value.
        """
        for part in value if isinstance(value, tuple) else (value,):
            if self.choices and part is not None:
                check(part in self.choices, f"--{self.name} must be one of {', '.join(self.choices)}.", repr(part))
            if isinstance(part, int | float) and not isinstance(part, bool):
                check(math.isfinite(part), f"--{self.name} must be a finite number.", part)
                check(part >= 0, f"--{self.name} must not be negative.", part)
                check(part > 0 or not self.positive, f"--{self.name} must be positive.", value)


def _without_literal(kind: Any) -> tuple[Any, tuple[str, ...]]:
    """Replaces a `Literal` of strings by `str`, and a tuple of them by `Names`; returns the type and the strings."""
    if typing.get_origin(kind) is Literal:
        return str, typing.get_args(kind)
    if typing.get_origin(kind) is tuple and typing.get_origin(typing.get_args(kind)[0]) is Literal:
        return Names, typing.get_args(typing.get_args(kind)[0])
    return kind, ()


@dataclasses.dataclass(frozen=True)
class SettingsGroup:
    """Holds settings that belong together, and checks their values when it is made.

    The first line of a subclass' docstring is the heading of its flags in --help.

    Raises:
        UsageError: if a value is not possible.
    """

    def __post_init__(self) -> None:
        for setting in self._own_settings():
            setting.check(getattr(self, setting.name))
        self.validate()

    def validate(self) -> None:
        """Checks the rules that types, choices and signs do not express.

        Raises:
            UsageError: if a value is not possible.
        """

    @classmethod
    def _own_settings(cls) -> tuple[Setting, ...]:
        return tuple(Setting.from_field(field) for field in dataclasses.fields(cls) if "help" in field.metadata)

    @classmethod
    def settings(cls) -> tuple[Setting, ...]:
        """Returns the settings of the group, in the order of config.json."""
        return cls._own_settings()

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> Self:
        """Makes the group from the values of its settings, by name.

        Raises:
            UsageError: if a value is not possible.
        """
        return cls(**values)

    @classmethod
    def from_file(cls, values: Mapping[str, Any]) -> Self:
        """Makes the group from the values in a config.json, which may be older than some of the settings.

        Raises:
            UsageError: if a value is not possible.
        """
        return cls.from_values({setting.name: setting.absent for setting in cls.settings()} | dict(values))

    def values(self) -> dict[str, Any]:
        """Returns the values of all settings, by name."""
        return {setting.name: getattr(self, setting.name) for setting in self.settings()}
