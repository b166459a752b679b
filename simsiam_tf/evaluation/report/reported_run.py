"""Holds a run as the report shows it."""

import dataclasses

from simsiam_tf.evaluation.loaded_run import LoadedRun
from simsiam_tf.evaluation.report.plots import COLOURS, Band, Line
from simsiam_tf.guard.causes import State
from simsiam_tf.training.run_files import STATE


@dataclasses.dataclass(frozen=True)
class ReportedRun:
    """Holds a run with its name and colour in the report.

    Attributes:
        name: the run's name on the page.
        number: the run's position among the runs, which selects its colour.
        loaded: the run.
    """

    name: str
    number: int
    loaded: LoadedRun

    @property
    def colour(self) -> str:
        """Returns the run's colour, as `#rrggbb`."""
        return COLOURS[self.number % len(COLOURS)]

    def curve(self, metric: str) -> Line:
        """Reads the curve of a metric over the epochs from metrics.jsonl.

        Args:
            metric: the name of the metric. Epochs without it are left out.
        """
        points = [(line["epoch"], line[metric]) for line in self.loaded.workdir.metrics() if metric in line]
        return Line(self.name, [x for x, _ in points], [y for _, y in points], self.number)

    def states(self) -> Band:
        """Reads the state of each epoch from metrics.jsonl. Epochs of older versions have none."""
        known = set(State)
        lines = [line for line in self.loaded.workdir.metrics() if line.get(STATE) in known]
        return Band(self.name, [(line["epoch"] - 1, line["epoch"], line[STATE]) for line in lines])
