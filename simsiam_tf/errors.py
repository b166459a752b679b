"""What can go wrong, in words for the person who ran the command."""

from typing import Any


class UsageError(ValueError):
    """A request that cannot be met, in one sentence for the person who made it; the scripts exit with 2."""


def check(condition: bool, rule: str, received: Any) -> None:
    """Raises a UsageError that states the rule and what was received, unless `condition` holds."""
    if not condition:
        raise UsageError(f"{rule} Received: {received}.")


class Stopped(Exception):  # noqa: N818 - not an error
    """A run that was asked to stop and has saved where it stood; the same command goes on from there.

    Args:
        message: one sentence.
        exit_code: 128 and the signal's number, as shells have it.
    """

    def __init__(self, message: str, exit_code: int):
        super().__init__(message)
        self.exit_code = exit_code
