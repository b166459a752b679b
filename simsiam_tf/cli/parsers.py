"""Parses the values of flags. A number is written in ASCII digits, as in the paper's tables, and in no other way."""

import re
from collections.abc import Callable
from typing import Any

from absl import flags

_WHOLE = re.compile(r"[+-]?[0-9]+")
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?|[+-]?(inf|infinity|nan)", re.IGNORECASE)


def whole_number(text: str) -> int:
    """Returns the whole number that a text writes.

    Args:
        text: the text. Python would also take `1_0`, and the digits of other scripts.

    Raises:
        ValueError: if it is another text, or has more digits than Python converts.
    """
    if not _WHOLE.fullmatch(text.strip(" ")):
        raise ValueError("it must be a whole number.")
    try:
        return int(text)
    except ValueError:  # thousands of digits
        raise ValueError("it must be a whole number below 2**63.") from None


def number(text: str) -> float:
    """Returns the number that a text writes. `inf` and `nan` are numbers here; each setting refuses them.

    Args:
        text: the text.

    Raises:
        ValueError: if it is another text.
    """
    if not _NUMBER.fullmatch(text.strip(" ")):
        raise ValueError("it must be a number.")
    return float(text)


class IntegerParser(flags.ArgumentParser):
    """Parses a whole number."""

    syntactic_help = "a whole number"

    def parse(self, argument: Any) -> int:
        """Returns the number."""
        return whole_number(argument) if isinstance(argument, str) else argument

    def flag_type(self) -> str:
        """Returns the name of the type."""
        return "int"


class NumberParser(flags.ArgumentParser):
    """Parses a number."""

    syntactic_help = "a number"

    def parse(self, argument: Any) -> float:
        """Returns the number as a float."""
        return number(argument) if isinstance(argument, str) else float(argument)

    def flag_type(self) -> str:
        """Returns the name of the type."""
        return "float"


class PerViewParser(flags.ArgumentParser):
    """Parses a number for both views, or two numbers with a comma between them."""

    syntactic_help = "a number, or one for each view: a,b"

    def parse(self, argument: Any) -> Any:
        """Returns a float for both views, or a tuple of one float for each."""
        try:
            numbers = tuple(number(part) for part in str(argument).split(","))
        except ValueError:
            numbers = ()
        if len(numbers) not in (1, 2):
            raise ValueError("it must be a number, or two with a comma between them, one for each view.")
        return numbers if len(numbers) == 2 else numbers[0]


class ListParser(flags.ArgumentParser):
    """Parses values with commas between them.

    Args:
        kind: a function that converts the text of a value to the value.
        what: the words for the values in messages.
    """

    def __init__(self, kind: Callable[[str], Any], what: str):
        self._kind, self._what = kind, what
        self.syntactic_help = f"{what} with commas between them"

    def parse(self, argument: Any) -> tuple:
        """Returns a tuple of the values."""
        if isinstance(argument, tuple):
            return argument
        parts = [part for part in str(argument).split(",") if part.strip()]
        try:
            return tuple(self._kind(part) for part in parts)
        except ValueError:
            raise ValueError(f"it must be {self._what}, with commas between them.") from None


class CommaSerializer(flags.ArgumentSerializer):
    """Writes values with commas between them, as on a command line."""

    def serialize(self, value: Any) -> str:
        """Returns the text of one value or of a tuple of values."""
        parts = value if isinstance(value, tuple) else (value,)
        return ",".join(f"{p:g}" if isinstance(p, float) and float(f"{p:g}") == p else str(p) for p in parts)
