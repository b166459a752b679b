"""Formats the values of records as text."""

from typing import Any


def with_unit(value: Any, unit: str | None) -> str:
    """Formats the value of a record for display.

    Args:
        value: the value. Only floats are rounded.
        unit: the unit of the record. Only `percent` changes the text.

    Returns:
        Two decimals for a float in percent, as `91.23 %`; four digits for any other float; `str(value)` for the rest.
    """
    if not isinstance(value, float):
        return str(value)
    return f"{value:.2f} %" if unit == "percent" else f"{value:.4g}"
