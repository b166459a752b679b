"""A run as the report shows it."""

import dataclasses

from simsiam_tf.evaluation.loaded_run import LoadedRun
from simsiam_tf.evaluation.report.plots import COLOURS, Line


@dataclasses.dataclass(frozen=True)
class ReportedRun:
    """A run, and how the report tells it from the others.

    Attributes:
        name: the run's name on the page.
        number: the run's position, which gives its colour.
        loaded: the run.
    """

    name: str
    number: int
    loaded: LoadedRun

    @property
    def colour(self) -> str:
        return COLOURS[self.number % len(COLOURS)]

    def curve(self, metric: str) -> Line:
        """Reads a metric of each epoch from metrics.jsonl; epochs without it are left out."""
        points = [(line["epoch"], line[metric]) for line in self.loaded.workdir.metrics() if metric in line]
        return Line(self.name, [x for x, _ in points], [y for _, y in points], self.number)
