"""Measures which test images a network's features classify rightly, by kNN and by probes, with few labels and many."""

import dataclasses
import logging
from typing import Literal

import numpy as np

from simsiam_tf.config.evaluation import KNNConfig, ProbeConfig
from simsiam_tf.data.sources import Source
from simsiam_tf.evaluation.comparison.networks import Network
from simsiam_tf.evaluation.label_subsets import balanced_subset
from simsiam_tf.evaluation.loaded_run import LoadedRun
from simsiam_tf.evaluation.probes import sweep
from simsiam_tf.features.embed import Features
from simsiam_tf.features.knn import knn_hits

_log = logging.getLogger(__name__)

FRACTIONS = (0.01, 0.1, 1.0)
_LABEL_SEED = 0
_SMALLEST_BATCH = 32


@dataclasses.dataclass(frozen=True)
class Measure:
    """Names a way to judge features.

    Attributes:
        kind: `knn`, or `probe` for the cached linear probe.
        fraction: the share of the training images whose labels are used.

    Example:
        Measure("probe", 0.1).title
    """

    kind: Literal["knn", "probe"]
    fraction: float

    @property
    def name(self) -> str:
        """Returns the name in records, such as `probe_10pct`."""
        return f"{self.kind}_{100 * self.fraction:g}pct"

    @property
    def title(self) -> str:
        """Returns the name in tables and sentences, such as `probe with 10 % of the labels`."""
        labels = "all labels" if self.fraction == 1 else f"{100 * self.fraction:g} % of the labels"
        return f"{'kNN' if self.kind == 'knn' else 'probe'} with {labels}"

    @property
    def decides(self) -> bool:
        """Returns whether the verdict hangs on this measure, too.

        kNN counts with all labels alone: with few of them, hundreds of neighbours are much of the whole bank.
        """
        return self.kind == "probe" or self.fraction == 1


MEASURES = tuple(Measure(kind, fraction) for kind in ("knn", "probe") for fraction in FRACTIONS)


@dataclasses.dataclass(frozen=True)
class LabelledTask:
    """Holds the images that networks are judged on, and which of them may be learned from.

    Attributes:
        train: the labelled training images.
        test: the labelled test images.
        subsets: the positions of the training images whose labels are used, `[n]`, by fraction.
        left_out: the reason why a measure is left out, by the measure.
    """

    train: Source
    test: Source
    subsets: dict[float, np.ndarray]
    left_out: dict[Measure, str]

    @classmethod
    def from_run(cls, run: LoadedRun) -> "LabelledTask":
        """Draws the same number of images of every class for each fraction, with a fixed seed.

        Raises:
            UsageError: if labels are missing.
        """
        train, test = run.labelled_sources("A comparison by labels")
        subsets = {f: balanced_subset(train.known_labels, f, _LABEL_SEED) for f in FRACTIONS if f < 1}
        subsets[1.0] = np.arange(train.num_examples)
        left_out = {}
        for measure in MEASURES:
            reason = _lack(measure, train.known_labels, subsets[measure.fraction])
            if reason:
                left_out[measure] = reason
        return cls(train, test, subsets, left_out)

    @property
    def measures(self) -> list[Measure]:
        """Returns the measures that are not left out."""
        return [measure for measure in MEASURES if measure not in self.left_out]


def _lack(measure: Measure, labels: np.ndarray, subset: np.ndarray) -> str:
    """Returns why a measure cannot be taken, as a phrase; an empty string if it can."""
    classes, of_each = np.unique(labels[subset], return_counts=True)
    share = f"{100 * measure.fraction:g} % of {len(labels):,} images"
    if measure.fraction < 1 and measure.fraction * len(labels) < len(classes):
        return f"{share} are fewer than one image of each of {len(classes)} classes"
    if measure.kind == "probe" and of_each.max() < 2:
        return f"{share} are one image of each class, and the probe holds out one of two to choose its settings"
    return ""


@dataclasses.dataclass(frozen=True)
class Judged:
    """Holds which test images a network's features classify rightly.

    Attributes:
        index: the positions of the test images, `[M]`; those that cannot be read are missing.
        hits: the hits of each measure, `[M] bool`.
        details: the settings that each measure's probe was trained with, or the k and temperature of kNN.
    """

    index: np.ndarray
    hits: dict[Measure, np.ndarray]
    details: dict[Measure, dict[str, float]]


def judge(network: Network, task: LabelledTask, knn: KNNConfig, probe: ProbeConfig) -> Judged:
    """Measures a network. Features and probes that are stored already are used again.

    Args:
        network: the network.
        task: the images, and the measures to take.
        knn: the settings of kNN, of which the first k and temperature count.
        probe: the settings of the cached probe.

    Raises:
        FloatingPointError: if features are not finite, or a probe diverged.
    """
    train, test = network.run.features(task.train), network.run.features(task.test)
    hits, details = {}, {}
    for measure in task.measures:
        source, features = _learned_from(task, measure.fraction, train)
        if measure.kind == "knn":
            bank = _first(features, knn.knn_max_examples)
            k, temperature = min(knn.knn_k[0], len(bank)), knn.knn_temperature[0]
            (found,) = knn_hits(bank, test, source.num_classes, (k,), (temperature,)).values()
            hits[measure], details[measure] = found[0], {"k": k, "temperature": temperature, "train_size": len(bank)}
            continue
        _log.info(f"{measure.title}: {network.name}")
        own = probe_settings(probe, measure.fraction)
        swept = sweep.task_on(own, (source, features), (task.test, test))
        fitted = sweep.fit(network.run, own, swept, with_table=False)
        hits[measure] = sweep.hits(swept, fitted)
        details[measure] = {
            "base_learning_rate": fitted.base_learning_rate,
            "weight_decay": fitted.weight_decay,
            "held_out_top1": float(fitted.held_out_top1),
            "batch_size": swept.batch_size,
            "train_size": len(features),
        }
    return Judged(test.index, hits, details)


def _first(features: Features, count: int) -> Features:
    """Returns the first `count` features; if that is 0 or exceeds their number, all of them, without a copy."""
    return features.subset(np.arange(count)) if 0 < count < len(features) else features


def probe_settings(config: ProbeConfig, fraction: float) -> ProbeConfig:
    """Returns the settings of a probe that learns from a share of the labels: the batch is as much smaller.

    With the batch of all labels, a probe of few labels would take so few steps that none of its rates fits.

    Args:
        config: the settings of the probe of all labels.
        fraction: the share of the labels.
    """
    if fraction == 1:
        return config
    batch_size = max(_SMALLEST_BATCH, round(fraction * (config.probe_batch_size or sweep.BATCH_SIZE)))
    return dataclasses.replace(config, probe_batch_size=batch_size)


def _learned_from(task: LabelledTask, fraction: float, features: Features) -> tuple[Source, Features]:
    """Returns the training images whose labels are used, and their features."""
    if fraction == 1:
        return task.train, features
    positions = task.subsets[fraction]
    return task.train.subset(positions), features.subset(np.flatnonzero(np.isin(features.index, positions)))
