"""Linear probes on random crops, as the paper, its release and its SGD variant train them (App. A)."""

import dataclasses
import itertools
import pathlib
import sys
import time
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator

import keras
import numpy as np

from simsiam_tf.augment import policies
from simsiam_tf.config.evaluation import ProbeConfig
from simsiam_tf.data.pipeline import evaluation_dataset
from simsiam_tf.data.sources import Source
from simsiam_tf.evaluation.loaded_run import Subject
from simsiam_tf.evaluation.probes.linear_classifier import LinearProbe
from simsiam_tf.features.embed import Features, backbone_sha256, feature_batches
from simsiam_tf.networks import feature_dim
from simsiam_tf.optim import scaled_learning_rate
from simsiam_tf.progress import progress_bar

# Optimiser, base learning rate and batch of each protocol (App. A; 'release': the authors' code).
PROTOCOLS = {"paper": ("lars", 0.02, 4096), "release": ("lars", 0.1, 4096), "sgd": ("sgd", 30.0, 256)}

Batches = Iterable[tuple[np.ndarray, np.ndarray]]


@dataclasses.dataclass(frozen=True)
class ProbeProtocol:
    """How a probe is trained, the protocol's own figures where the settings give no others.

    Attributes:
        name: `paper`, `release` or `sgd`; with `_custom` behind it where a figure is another.
        optimizer: `lars` or `sgd`.
        base_learning_rate: per 256 images.
        batch_size: images of a step.
        epochs: passes over the training images.
        augmentation: what it sees of them.
    """

    name: str
    optimizer: str
    base_learning_rate: float
    batch_size: int
    epochs: int
    augmentation: str

    @classmethod
    def of(cls, name: str, config: ProbeConfig, num_examples: int) -> "ProbeProtocol":
        """A named protocol for a training set of so many images, which is the greatest batch there can be."""
        optimizer, rate, batch = PROTOCOLS[name]
        theirs = cls(name, optimizer, rate, batch, 90, "linear_train")
        ours = dataclasses.replace(
            theirs,
            base_learning_rate=config.probe_base_learning_rate or rate,
            batch_size=min(config.probe_batch_size or batch, num_examples),
            epochs=config.probe_epochs,
            augmentation=config.probe_augmentation,
        )
        return ours if ours == theirs else dataclasses.replace(ours, name=f"{name}_custom")

    @property
    def learning_rate(self) -> float:
        """The scaled learning rate."""
        return scaled_learning_rate(self.base_learning_rate, self.batch_size)

    def describe(self) -> dict:
        """What produced the number, for summary.json."""
        return {
            "unit": "percent",
            "protocol": f"linear probe '{self.name}' on frozen features, offline",
            "optimizer": self.optimizer,
            "base_learning_rate": self.base_learning_rate,
            "learning_rate": self.learning_rate,
            "weight_decay": 0.0,
            "batch_size": self.batch_size,
            "epochs": self.epochs,
            "augmentation": self.augmentation,
        }


class ProbeState:
    """A probe's variables in a file, so that it goes on where it was stopped; at the end, the trained classifier.

    Args:
        file: `.npz`.
        variables: of the probe.
    """

    def __init__(self, file: pathlib.Path, variables: list[keras.Variable]):
        self.file, self._variables = file, variables

    def save(self, epochs: int, seconds: float) -> None:
        """Notes the variables after so many epochs, which took so long."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        draft = self.file.with_name(f"draft-{self.file.name}")
        values = {f"{i:02}_{v.name}": v.numpy() for i, v in enumerate(self._variables)}
        np.savez(draft, epochs=epochs, seconds=seconds, **values)
        draft.replace(self.file)

    def restore(self) -> tuple[int, float]:
        """Gives the variables back what was noted, unless the file is damaged (a `.npz` has checksums).

        Returns:
            The epochs trained so far and the seconds that they took; zeros where the probe begins anew.
        """
        if not self.file.exists():
            return 0, 0.0
        try:
            with np.load(self.file) as saved:
                values = [saved[f"{i:02}_{variable.name}"] for i, variable in enumerate(self._variables)]
                epochs, seconds = int(saved["epochs"]), float(saved["seconds"])
            if any(v.shape != variable.shape for v, variable in zip(values, self._variables, strict=True)):
                raise ValueError("it is of another probe")
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            print(f"warning: {self.file} cannot be gone on from ({error}); the probe is trained anew.", file=sys.stderr)
            return 0, 0.0
        for variable, value in zip(self._variables, values, strict=True):
            variable.assign(value)
        return epochs, seconds


class _Trainee:
    """A probe in training: takes rows as they come, makes a step of each whole batch."""

    def __init__(self, subject: Subject, protocol: ProbeProtocol, train: Source):
        self.protocol, self._steps = protocol, train.num_examples // protocol.batch_size
        rates = [protocol.learning_rate]
        total = protocol.epochs * self._steps
        self.probe = LinearProbe(feature_dim(subject.backbone), train.num_classes, protocol.optimizer, rates, total)
        key = subject.key(protocol, train.fingerprint)
        file = subject.workdir.root / "probes" / f"linear_{protocol.name}-{key}.npz"
        self.state = ProbeState(file, self.probe.variables)
        self.epochs, self.seconds = self.state.restore()
        self.loss, self._done, self._held = float("nan"), 0, Rebatcher(protocol.batch_size)

    @property
    def lacks_steps(self) -> bool:
        """Whether the epoch still wants rows."""
        return self._done < self._steps

    def feed(self, features, labels) -> float:
        """Takes rows; the seconds of the steps that they made."""
        start = time.monotonic()
        for batch in self._held.add(features, labels):
            if self.lacks_steps:
                self.loss = float(self.probe.step(*batch)[0])
                self._done += 1
        return time.monotonic() - start

    def end_epoch(self, seconds) -> None:
        self.epochs, self.seconds, self._done = self.epochs + 1, self.seconds + seconds, 0
        self._held = Rebatcher(self.protocol.batch_size)
        self.state.save(self.epochs, self.seconds)


def run_probes(subject: Subject, config: ProbeConfig, names: tuple[str, ...]) -> None:
    """Trains the named probes on one and the same stream of crops, and records their accuracies.

    Each epoch's state is saved, and the same call goes on from there. A record's seconds are those that its probe
    alone would have taken: all of the embedding, and its own steps.

    Args:
        subject: what is judged.
        config: of the probes.
        names: of `PROTOCOLS`.

    Raises:
        UsageError: if labels are lacking.
        RuntimeError: if the frozen backbone is not the same afterwards.
    """
    train, test = subject.labelled_sources("A linear probe")
    before = backbone_sha256(subject.backbone)
    trainees = [_Trainee(subject, ProbeProtocol.of(name, config, train.num_examples), train) for name in names]
    rows_of = _rows(subject, config, train)
    for epoch in range(min(t.epochs for t in trainees), config.probe_epochs):
        _train_epoch([t for t in trainees if t.epochs == epoch], rows_of, epoch, config.probe_epochs, train)
    if backbone_sha256(subject.backbone) != before:
        raise RuntimeError("The backbone changed while a probe was trained on it; this is a mistake of simsiam_tf.")
    held_out = subject.features(test)
    for t in trainees:
        top1, top5 = t.probe.accuracy_of_one(batches_of(held_out), "Lower --probe_base_learning_rate.")
        details = {**t.protocol.describe(), "train": train.name, "train_size": train.num_readable, "test": test.name}
        names_of = f"linear_{t.protocol.name}_top1", f"linear_{t.protocol.name}_top5"
        values = dict(zip(names_of, (top1, top5), strict=True))
        subject.add_records(values, t.seconds, **details, backbone_sha256=before)


def _train_epoch(trainees, rows_of, epoch, epochs, train):
    print(f"Probe epoch {epoch + 1}/{epochs} on {train.name}: {', '.join(t.protocol.name for t in trainees)}")
    bar, start = progress_bar(train.num_examples, "image"), time.monotonic()
    own = [0.0] * len(trainees)
    # What unreadable images leave missing of an epoch comes from another shuffle.
    for features, labels in itertools.chain(rows_of(epoch), rows_of(epoch + epochs)):
        for i, t in enumerate(trainees):
            own[i] += t.feed(features, labels)
        bar.add(len(labels), [(f"{t.protocol.name}_loss", t.loss) for t in trainees if np.isfinite(t.loss)])
        if not any(t.lacks_steps for t in trainees):
            break
    bar.update(train.num_examples, finalize=True)
    shared = time.monotonic() - start - sum(own)
    for t, seconds in zip(trainees, own, strict=True):
        t.end_epoch(shared + seconds)


def _rows(subject: Subject, config: ProbeConfig, train: Source) -> Callable[[int], Batches]:
    """An epoch's features and labels, shuffled: of new crops, or of the images embedded once."""
    if config.probe_augmentation == "linear_eval":
        cached = subject.features(train)
        return lambda epoch: shuffled_batches(cached, np.arange(len(cached)), 1024, epoch)

    def augmented(epoch):
        policy = policies.POLICIES[config.probe_augmentation][0]
        images = evaluation_dataset(train, subject.image_size, subject.batch_size, policy, shuffle_seed=0, epoch=epoch)
        for features, index in feature_batches(subject.backbone, images, subject.strategy):
            yield features, train.known_labels[index]

    return augmented


def shuffled_batches(features: Features, rows: np.ndarray, size: int, epoch: int) -> Iterator:
    """Batches of features and labels of certain rows, in another order in each epoch; the last one may be short."""
    order = rows[np.random.RandomState(epoch).permutation(len(rows))]
    for start in range(0, len(order), size):
        batch = order[start : start + size]
        yield features.take(batch), features.known_labels[batch]


def batches_of(features: Features, rows: int = 4096) -> Iterator:
    """All features and labels, in order."""
    for first, part in features.chunks(rows):
        yield part, features.known_labels[first : first + len(part)]


class Rebatcher:
    """Makes batches of one size of rows that come in any.

    Args:
        size: rows of a batch.
    """

    def __init__(self, size: int):
        self._size = size
        self._features: list[np.ndarray] = []
        self._labels: list[np.ndarray] = []

    def add(self, features: np.ndarray, labels: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Takes rows `[n, D]` and labels `[n]`; yields the whole batches that they complete."""
        self._features.append(features)
        self._labels.append(labels)
        if sum(map(len, self._labels)) < self._size:
            return
        joined_features, joined_labels = np.concatenate(self._features), np.concatenate(self._labels)
        whole = len(joined_labels) // self._size * self._size
        self._features, self._labels = [joined_features[whole:]], [joined_labels[whole:]]
        for start in range(0, whole, self._size):
            yield joined_features[start : start + self._size], joined_labels[start : start + self._size]
