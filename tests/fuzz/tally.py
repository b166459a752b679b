"""Counts the answers to the cases of a target in a file, so that a run that was stopped goes on."""

import collections
import json
import pathlib
from typing import Any

from tests.fuzz.target import ALL_FAULTS

# So many faults are kept in words.
_KEPT = 300


class Tally:
    """Counts answers by their class.

    Args:
        path: the file, whose counts are gone on with.
    """

    def __init__(self, path: pathlib.Path) -> None:
        self._path = path
        held = json.loads(path.read_text()) if path.exists() else {}
        self.next: int = held.get("next", 0)
        self.seconds: float = held.get("seconds", 0.0)
        self.slowest: list[Any] = held.get("slowest", [0.0, -1])
        self.counts = collections.Counter(held.get("counts", {}))
        self.faults: dict[str, dict[str, Any]] = held.get("faults", {})

    def add(self, number: int, answer: dict[str, Any]) -> None:
        """Adds the answer to a case, in place of an earlier one if that was a fault."""
        before = self.faults.pop(str(number), None)
        if before is not None:
            self.counts[before["class"]] -= 1
        self.counts[answer["class"]] += 1
        self.next = max(self.next, number + 1)
        self.slowest = max(self.slowest, [answer.get("seconds", 0.0), number])
        if answer["class"] in ALL_FAULTS and len(self.faults) < _KEPT:
            self.faults[str(number)] = answer

    @property
    def num_faults(self) -> int:
        """Counts the faults."""
        return sum(self.counts[kind] for kind in ALL_FAULTS)

    def save(self) -> None:
        """Writes the counts."""
        held = {name: getattr(self, name) for name in ("next", "seconds", "slowest", "counts", "faults")}
        draft = self._path.with_suffix(".draft")
        draft.write_text(json.dumps(held))
        draft.replace(self._path)

    def lines(self) -> list[str]:
        """Returns the counts, and the faults, as lines."""
        found = [f"{count:8} {kind}" for kind, count in self.counts.most_common() if count]
        for number, fault in list(self.faults.items())[:40]:
            found.append(f"FAULT {fault['class']}: case {number}: {fault['what']}: {fault['said']}")
        return [*found, f"{sum(self.counts.values()):8} cases, {self.num_faults} faults, {self.seconds:.0f} s"]
