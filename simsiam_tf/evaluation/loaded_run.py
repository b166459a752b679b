"""What is judged: a run's network with a checkpoint's weights, the images, and the records that come of it."""

import dataclasses
import functools
import hashlib
import json
import pathlib
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from simsiam_tf.config.data import DataConfig
from simsiam_tf.config.run import Config
from simsiam_tf.data.sources import Source, open_eval_source, open_source
from simsiam_tf.errors import UsageError
from simsiam_tf.features import metrics
from simsiam_tf.features.embed import Features
from simsiam_tf.features.store import FeatureStore
from simsiam_tf.files import expand
from simsiam_tf.methods import SSLModel
from simsiam_tf.training import factory
from simsiam_tf.training.checkpoints import restore_model
from simsiam_tf.training.workdir import Workdir, record


@dataclasses.dataclass(frozen=True)
class Subject:
    """A network, and what it is judged on.

    Attributes:
        workdir: of the run.
        run: its configuration.
        data: the data set to judge it on.
        suffix: of the records' names: empty for the run's own data.
        model: with the checkpoint's weights.
        checkpoint: the checkpoint's name.
        strategy: that the model was made under.
        batch_size: images embedded at a time, on each replica.
    """

    workdir: Workdir
    run: Config
    data: DataConfig
    suffix: str
    model: SSLModel
    checkpoint: str
    strategy: tf.distribute.Strategy
    batch_size: int

    @classmethod
    def load(
        cls,
        path: str,
        checkpoint: str,
        data_overrides: dict[str, Any],
        strategy: tf.distribute.Strategy,
        batch_size: int = 256,
    ) -> "Subject":
        """Restores a run's network.

        Args:
            path: the run's workdir.
            checkpoint: a certain one; by default the latest that can be read.
            data_overrides: settings of `DataConfig` that differ from the run's.
            strategy: to make the model under.
            batch_size: images embedded at a time, on each replica.

        Raises:
            UsageError: if there is no run or no checkpoint.
        """
        workdir = Workdir.of_old_run(path)
        run = workdir.config()
        workdir.check_writable()
        # Mixed precision keeps float32 weights: judge and export those in float32.
        factory.set_precision("float64" if run.devices.precision == "float64" else "float32")
        with strategy.scope():
            model = factory.make_model(run)
            found = restore_model(model, workdir.checkpoints, checkpoint)
        if "dataset" in data_overrides:  # another set's splits are its own
            data_overrides = {"train_split": "train", "eval_split": "auto", **data_overrides}
        data = dataclasses.replace(run.data, **data_overrides)
        suffix = _suffix(data, run.data)
        return cls(workdir, run, data, suffix, model, pathlib.Path(found).name, strategy, batch_size)

    @property
    def backbone(self) -> keras.Model:
        """Images `[B, H, W, 3]` to features `[B, D]`."""
        return self.model.backbone

    @property
    def image_size(self) -> int:
        """Side of the evaluation crop, pixels."""
        return self.run.data.image_size

    @functools.cached_property
    def train_source(self) -> Source:
        """The images to learn from, or to look at."""
        return open_source(self.data, self.data.train_split)

    @functools.cached_property
    def test_source(self) -> Source | None:
        """The images to be judged on."""
        return open_eval_source(self.data)

    @property
    def lacks(self) -> str:
        """What it would take to judge by labels and is not there; empty where nothing is missing."""
        if self.train_source.labels is None:
            return "no labels"
        test = self.test_source
        return "" if test is not None and test.labels is not None else "no labelled split to evaluate on"

    def labelled_sources(self, purpose: str) -> tuple[Source, Source]:
        """Both, with labels.

        Raises:
            UsageError: if labels are lacking.
        """
        if self.lacks or self.test_source is None:
            raise UsageError(
                f"{purpose} needs labelled splits to learn from and to be judged on. "
                f"Received: {self.data.dataset} with {self.lacks}."
            )
        return self.train_source, self.test_source

    @functools.cached_property
    def store(self) -> FeatureStore:
        """Features in the evaluation crop, embedded once."""
        made_by = {"recipe": self.run.recipe, "checkpoint": self.checkpoint}
        root = self.workdir.root / "features"
        return FeatureStore(root, self.backbone, made_by, self.image_size, self.batch_size, self.strategy)

    def features(self, source: Source) -> Features:
        """The features of a source in the evaluation crop, from disk where they are there."""
        return self.store.of(source)

    def project(self, features: np.ndarray) -> np.ndarray:
        """z of features `[N, D]` in eval mode, `[N, d]`."""
        parts = np.array_split(features, max(1, len(features) // 1024))
        z = [tf.cast(self.model.projector(x, training=False), tf.float32).numpy() for x in parts]
        return metrics.finite(np.concatenate(z), "z")

    def key(self, *settings: Any) -> str:
        """A short name for settings of a protocol together with the weights that it judges."""
        text = json.dumps([self.store.weights_sha256, *settings], sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def add_records(self, values: dict[str, Any], seconds: float, **produced_by: Any) -> None:
        """Puts numbers into summary.json, each with all that produced it.

        Args:
            values: by name; the suffix of another data set is added.
            seconds: that they took, together.
            **produced_by: protocol, data and settings.
        """
        common = {**produced_by, "recipe": self.run.recipe, "checkpoint": self.checkpoint, "seconds": round(seconds, 2)}
        self.workdir.add_to_summary({f"{n}{self.suffix}": record(v, **common) for n, v in values.items()})
        shown = ", ".join(f"{n}{self.suffix} {_shown(v, produced_by.get('unit'))}" for n, v in values.items())
        print(f"{shown}, written to {self.workdir.summary_path}")


def _shown(value, unit):
    if not isinstance(value, float):
        return str(value)
    return f"{value:.2f} %" if unit == "percent" else f"{value:.4g}"


def _suffix(data: DataConfig, own: DataConfig) -> str:
    """Of the records' names: empty for the run's own data, else what the numbers were taken on."""

    def parts(config):
        folder = pathlib.Path(expand(config.data_dir)) if config.dataset == "folder" else None
        return folder or config.dataset, config.train_split, config.eval_split

    if parts(data) == parts(own):
        return ""
    names = [part.name if isinstance(part, pathlib.Path) else part for part in parts(data)]
    return "_" + "_".join(name for name in names if name != "auto")
