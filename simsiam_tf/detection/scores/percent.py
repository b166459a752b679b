"""Converts the fractions of measures to percent."""

from typing import Any


def in_percent(value: Any) -> Any:
    """Converts all fractions of a measure to percent.

    Args:
        value: what `coco_ap` or `voc_ap` returns, or a part of it.

    Returns:
        The same dictionaries, lists and `None`, with each number times 100.

    Example:
        >>> in_percent({"AP": 0.5, "APs": None, "ap_per_class": [0.25, None]})
        {'AP': 50.0, 'APs': None, 'ap_per_class': [25.0, None]}
    """
    if isinstance(value, dict):
        return {key: in_percent(part) for key, part in value.items()}
    if isinstance(value, list):
        return [in_percent(part) for part in value]
    return None if value is None else 100.0 * float(value)
