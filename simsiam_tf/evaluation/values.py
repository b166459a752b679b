"""Values of records as text."""

from typing import Any


def with_unit(value: Any, unit: str | None) -> str:
    """Formats the value of a record for people.

    Args:
        value: the value; only a float is rounded.
        unit: the unit of the record: `percent`, or anything else for a plain number.

    Returns:
        `91.23 %` for percent, four digits for any other float, `str(value)` for the rest.
    """
    if not isinstance(value, float):
        return str(value)
    return f"{value:.2f} %" if unit == "percent" else f"{value:.4g}"
