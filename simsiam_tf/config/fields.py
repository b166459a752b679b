"""Defines settings: fields of frozen dataclasses, each with its default, its explanation and its choices."""

import dataclasses
import functools
import math
import numbers
import typing
from collections.abc import Mapping
from typing import Any, Literal, Self

from simsiam_tf.errors import check

# Types of settings that hold several values.
Numbers = tuple[float, ...]
Integers = tuple[int, ...]
Names = tuple[str, ...]

# The largest number of float32, in which networks compute; above it, a setting would become infinite there.
LARGEST = 3.4028234e38

_REQUIRED = object()


def option(
    default: Any,
    help: str,
    choices: tuple[str, ...] = (),
    *,
    identity: bool = True,
    positive: bool = False,
    signed: bool = False,
    absent: Any = _REQUIRED,
) -> Any:
    """Declares a setting as a field of a dataclass.

    Args:
        default: the value if none is given.
        help: the explanation for --help.
        choices: the possible values, unless the type of the field is a `Literal` of them.
        identity: whether another value makes another run, so that a workdir cannot be resumed with it.
        positive: whether 0 is refused. Negative numbers are refused unless `signed`.
        signed: whether negative numbers are allowed.
        absent: the value in a run whose config.json is older than the setting. It must describe what that run did.
            Settings that did not exist in format 1 must have it (tests/config/test_format.py).

    Example:
        epochs: int = option(100, "Passes over the images.", positive=True)
    """
    metadata = {"help": help, "choices": choices, "identity": identity, "positive": positive, "signed": signed}
    metadata["absent"] = absent
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
        signed: whether negative numbers are allowed.
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
    signed: bool = False
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
        if self.choices and self.type is str:
            check(value in self.choices, f"--{self.name} must be one of {', '.join(self.choices)}.", repr(value))
        check(_fits(self.type, value), f"--{self.name} must be {_kind(self.type)}.", repr(value))
        for part in value if isinstance(value, tuple | list) else (value,):
            if self.choices:
                check(part in self.choices, f"--{self.name} must be one of {', '.join(self.choices)}.", repr(part))
            if _is_number(part):
                self._check_number(part, value)

    def _check_number(self, number: Any, value: Any) -> None:
        """Checks a number of the value: its sign, and that neither float32 nor int64 make something else of it."""
        if isinstance(number, numbers.Integral):
            check(number < 2**63, f"--{self.name} must be below 2**63.", number)
        else:
            check(math.isfinite(number), f"--{self.name} must be a finite number.", number)
            # Of several values to try, one may be too large: what diverges then is said, and not chosen.
            fits = number <= LARGEST or self.type == Numbers
            check(fits, f"--{self.name} must be at most {LARGEST}, the largest number of float32.", number)
        check(number >= 0 or self.signed, f"--{self.name} must not be negative.", number)
        check(number > 0 or not self.positive, f"--{self.name} must be positive.", value)


def _is_number(value: Any) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def _fits(kind: Any, value: Any) -> bool:
    """Returns whether a value has the type of a setting."""
    if kind is int:
        return isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if kind is float:
        return _is_number(value)
    if kind in (str, bool):
        return isinstance(value, kind)
    if typing.get_origin(kind) is tuple:
        of_part, *others = typing.get_args(kind)
        count = None if others == [...] else 1 + len(others)
        fits = isinstance(value, tuple | list) and all(_fits(of_part, part) for part in value)
        return fits and count in (None, len(value))
    return value is None or any(_fits(choice, value) for choice in typing.get_args(kind) if choice is not type(None))


def _kind(kind: Any) -> str:
    """Returns the words for the values of a type."""
    words = {str: "a text", int: "a whole number", float: "a number", bool: "true or false"}
    words |= {Integers: "whole numbers", Numbers: "numbers", Names: "names"}
    return words.get(kind, "a number, or two with a comma between them, one for each view")


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
        return _settings_of(cls)  # type: ignore[arg-type]

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


@functools.cache
def _settings_of(group: type[SettingsGroup]) -> tuple[Setting, ...]:
    """Returns the settings that a group declares itself."""
    return tuple(Setting.from_field(field) for field in dataclasses.fields(group) if "help" in field.metadata)
