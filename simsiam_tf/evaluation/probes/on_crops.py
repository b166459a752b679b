"""Trains linear probes on random crops: the paper's protocol, the authors' release, and the SGD variant (App. A)."""

import dataclasses
import functools
import itertools
import logging
import time
from collections.abc import Callable, Sequence

import numpy as np

from simsiam_tf.augment import policies
from simsiam_tf.config.evaluation import ProbeConfig
from simsiam_tf.data.pipeline import evaluation_dataset
from simsiam_tf.data.sources import Source
from simsiam_tf.evaluation.loaded_run import LoadedRun
from simsiam_tf.evaluation.probes.batches import Batches, Rebatcher, batches_of, shuffled_batches
from simsiam_tf.evaluation.probes.classifiers import keep_classifier
from simsiam_tf.evaluation.probes.linear_classifier import LinearProbe
from simsiam_tf.evaluation.probes.protocols import ProbeProtocol
from simsiam_tf.evaluation.probes.state import ProbeState
from simsiam_tf.features.embed import Features, backbone_sha256, feature_batches
from simsiam_tf.networks import feature_dim
from simsiam_tf.progress import Progress

_log = logging.getLogger(__name__)


def run_probes(run: LoadedRun, config: ProbeConfig, names: Sequence[str]) -> None:
    """Trains the named probes on the same crops, and records their accuracies.

    The state of each probe is saved after each epoch, and the same call resumes a stopped training. The recorded
    seconds are those that a probe would have taken alone: the embedding of all crops, and its own steps.

    Args:
        run: the run to evaluate.
        config: the settings of the probes.
        names: the names of the probes: keys of `protocols.PROTOCOLS`.

    Raises:
        UsageError: if labels are missing.
        FloatingPointError: if a probe diverged.
        RuntimeError: if the weights of the frozen backbone changed.
    """
    task = prepare(run, config, names)
    fit(run, config, task)
    test_features = run.features(task.test)
    for probe in task.probes:
        top1, top5 = score(probe, test_features)
        record(run, task, probe, top1, top5)


@dataclasses.dataclass(frozen=True)
class ProbeTask:
    """Holds the probes to train, and the images to train and test them on.

    Attributes:
        train: the labelled training images.
        test: the labelled test images.
        probes: the probes, restored from their last saved epochs.
        backbone_sha256: the fingerprint of the frozen backbone before the training.
    """

    train: Source
    test: Source
    probes: Sequence["ProbeInTraining"]
    backbone_sha256: str


class ProbeInTraining:
    """Trains a probe on features that arrive in any number, with one step for each full batch.

    Args:
        run: the run to evaluate.
        protocol: the hyperparameters of the training.
        train: the training images.
    """

    def __init__(self, run: LoadedRun, protocol: ProbeProtocol, train: Source) -> None:
        self.protocol, self._steps_per_epoch = protocol, train.num_examples // protocol.batch_size
        self.classifier = LinearProbe(
            feature_dim=feature_dim(run.backbone),
            num_classes=train.num_classes,
            optimizer=protocol.optimizer,
            learning_rates=[protocol.learning_rate],
            total_steps=protocol.epochs * self._steps_per_epoch,
        )
        key = run.key(protocol, train.fingerprint)
        file = run.workdir.root / "probes" / f"linear_{protocol.name}-{key}.npz"
        self._state = ProbeState(file, self.classifier.variables)
        self.epochs, self.seconds = self._state.restore()
        self.loss, self._steps, self._batches = float("nan"), 0, Rebatcher(protocol.batch_size)

    @property
    def needs_more_rows(self) -> bool:
        """Returns whether the current epoch still lacks steps."""
        return self._steps < self._steps_per_epoch

    def feed(self, features: np.ndarray, labels: np.ndarray) -> float:
        """Adds rows, and takes a step for each batch that they complete.

        Rows that do not fill a batch wait for the next call. Once the epoch is complete, no more steps are taken.

        Args:
            features: the features of n images, `[n, D]`.
            labels: the labels of the same images, `[n]`.

        Returns:
            The seconds that the steps took.
        """
        start = time.monotonic()
        for batch in self._batches.add(features, labels):
            if self.needs_more_rows:
                self.loss = float(self.classifier.step(*batch)[0])
                self._steps += 1
        return time.monotonic() - start

    def end_epoch(self, seconds: float) -> None:
        """Counts the epoch, drops the rows that are left over, and saves the probe.

        Args:
            seconds: the seconds that the epoch took.
        """
        self.epochs, self.seconds, self._steps = self.epochs + 1, self.seconds + seconds, 0
        self._batches = Rebatcher(self.protocol.batch_size)
        self._state.save(self.epochs, self.seconds)


def prepare(run: LoadedRun, config: ProbeConfig, names: Sequence[str]) -> ProbeTask:
    """Opens the images, and makes the probes or restores them.

    Args:
        run: the run to evaluate.
        config: the settings of the probes.
        names: the names of the probes.

    Raises:
        UsageError: if labels are missing.
    """
    train, test = run.labelled_sources("A linear probe")
    protocols = [ProbeProtocol.from_config(name, config, train.num_examples) for name in names]
    probes = [ProbeInTraining(run, protocol, train) for protocol in protocols]
    return ProbeTask(train, test, probes, backbone_sha256(run.backbone))


def fit(run: LoadedRun, config: ProbeConfig, task: ProbeTask) -> None:
    """Trains each probe for the epochs that it still lacks.

    Args:
        run: the run to evaluate.
        config: the settings of the probes.
        task: the probes and the images.

    Raises:
        RuntimeError: if the weights of the frozen backbone changed.
    """
    rows_of_epoch = _training_rows(run, config, task.train)
    for epoch in range(min(probe.epochs for probe in task.probes), config.probe_epochs):
        probes = [probe for probe in task.probes if probe.epochs == epoch]
        names = ", ".join(probe.protocol.name for probe in probes)
        _log.info(f"Probe epoch {epoch + 1}/{config.probe_epochs} on {task.train.name}: {names}")
        # If some images are unreadable, an epoch has too few rows. Rows of another shuffle then fill it up.
        rows = itertools.chain(rows_of_epoch(epoch), rows_of_epoch(epoch + config.probe_epochs))
        with Progress(
            f"Probe epoch {epoch + 1} of {config.probe_epochs}", task.train.num_examples, "image"
        ) as progress:
            train_epoch(probes, rows, progress)
    if backbone_sha256(run.backbone) != task.backbone_sha256:
        raise RuntimeError("The backbone changed while a probe was trained on it; this is a bug in simsiam_tf.")


def score(probe: ProbeInTraining, test_features: Features) -> tuple[float, float]:
    """Measures the top-1 and top-5 accuracy of a probe on the test images, in percent."""
    return probe.classifier.accuracy_of_one(batches_of(test_features), "Lower --probe_base_learning_rate.")


def record(run: LoadedRun, task: ProbeTask, probe: ProbeInTraining, top1: float, top5: float) -> None:
    """Adds the accuracies of a probe, in percent, to summary.json, and keeps its classifier."""
    name = probe.protocol.name
    keep_classifier(run, name, probe.classifier, task.train, top1)
    run.add_records(
        {f"linear_{name}_top1": top1, f"linear_{name}_top5": top5},
        probe.seconds,
        **probe.protocol.describe(),
        train=task.train.name,
        train_size=task.train.num_readable,
        test=task.test.name,
        backbone_sha256=task.backbone_sha256,
    )


def train_epoch(probes: Sequence[ProbeInTraining], rows: Batches, progress: Progress) -> None:
    """Trains probes for one epoch on the same features.

    Args:
        probes: the probes to train.
        rows: the batches of features `[n, D]` and labels `[n]`, at least enough for one epoch.
        progress: the progress of the epoch, counted in images.
    """
    start, own_seconds = time.monotonic(), [0.0] * len(probes)
    for features, labels in rows:
        for i, probe in enumerate(probes):
            own_seconds[i] += probe.feed(features, labels)
        losses = [(f"{probe.protocol.name}_loss", probe.loss) for probe in probes if np.isfinite(probe.loss)]
        progress.add(len(labels), losses)
        if not any(probe.needs_more_rows for probe in probes):
            break
    progress.finish()
    shared_seconds = time.monotonic() - start - sum(own_seconds)
    for probe, seconds in zip(probes, own_seconds, strict=True):
        probe.end_epoch(shared_seconds + seconds)


def _training_rows(run: LoadedRun, config: ProbeConfig, train: Source) -> Callable[[int], Batches]:
    """Returns a function from the epoch to shuffled features: of new random crops, or of centre crops embedded once."""
    if config.probe_augmentation == "linear_eval":
        features = run.features(train)
        return functools.partial(shuffled_batches, features, np.arange(len(features)), 1024)
    return functools.partial(_features_of_crops, run, train, policies.POLICIES[config.probe_augmentation][0])


def _features_of_crops(run: LoadedRun, train: Source, policy: policies.Policy, epoch: int) -> Batches:
    """Embeds new random crops of all training images, in a random order."""
    images = evaluation_dataset(train, run.image_size, run.batch_size, policy, shuffle_seed=0, epoch=epoch)
    for features, index in feature_batches(run.backbone, images, run.strategy):
        yield features, train.known_labels[index]
