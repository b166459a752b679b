"""Puts the numbers of all networks together: accuracies, differences, and verdicts."""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from simsiam_tf.errors import check
from simsiam_tf.evaluation.comparison.bootstrap import LEVEL, Accuracy, Difference
from simsiam_tf.evaluation.comparison.measures import Judged, Measure
from simsiam_tf.evaluation.comparison.verdicts import Verdict, deciding_level, sentence_of


@dataclasses.dataclass(frozen=True)
class Result:
    """Holds the result of a comparison.

    Attributes:
        names: the names of the networks, the run's own last.
        num_images: the number of test images that all networks were judged on.
        accuracies: the accuracy of each network by each measure.
        differences: the run's accuracy less that of each other network, by each measure.
        verdicts: the verdict on each other network.
    """

    names: list[str]
    num_images: int
    accuracies: dict[Measure, dict[str, Accuracy]]
    differences: dict[Measure, dict[str, Difference]]
    verdicts: list[Verdict]

    @property
    def sentence(self) -> str:
        """Returns the one sentence that answers whether the run helped."""
        return sentence_of(self.verdicts)

    def values_of(self, measure: Measure) -> dict[str, Any]:
        """Returns the numbers of a measure as a record of summary.json holds them beside the run's accuracy."""
        of_networks, differences = self.accuracies[measure], self.differences[measure]
        *others, own = self.names
        return {
            "interval": [of_networks[own].low, of_networks[own].high],
            "others": {
                name: {
                    "value": of_networks[name].top1,
                    "interval": [of_networks[name].low, of_networks[name].high],
                    "difference": differences[name].points,
                    "difference_interval": [differences[name].low, differences[name].high],
                    "told_apart": differences[name].direction != 0,
                }
                for name in others
            },
        }


def result_of(names: Sequence[str], judged: Sequence[Judged]) -> Result:
    """Compares a run with the other networks, on the test images that were read for all of them.

    Args:
        names: the names of the networks, the run's own last.
        judged: the hits of the networks, in the same order and by the same measures.

    Raises:
        UsageError: if there is no test image.
    """
    common = functools.reduce(np.intersect1d, [one.index for one in judged])
    check(len(common) > 0, "A comparison needs at least one readable test image.", "none")
    measures = list(judged[-1].hits)
    hits = {m: [one.hits[m][np.isin(one.index, common)] for one in judged] for m in measures}
    level = deciding_level(sum(measure.decides for measure in measures))
    differences = {}
    for measure, (*of_others, own) in hits.items():
        its_level = level if measure.decides else LEVEL
        compared = [Difference.from_hits(own, other, its_level) for other in of_others]
        differences[measure] = dict(zip(names, compared, strict=False))
    verdicts = [
        Verdict.from_differences(name, {m.title: differences[m][name] for m in measures if m.decides})
        for name in names[:-1]
    ]
    accuracies = {
        m: {name: Accuracy.from_hits(of_one) for name, of_one in zip(names, of_all, strict=True)}
        for m, of_all in hits.items()
    }
    return Result(list(names), len(common), accuracies, differences, verdicts)
