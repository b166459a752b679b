"""A run that is judged: its network with a checkpoint's weights, the images, and its records."""

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
from simsiam_tf.evaluation.values import with_unit
from simsiam_tf.features import metrics
from simsiam_tf.features.embed import Features
from simsiam_tf.features.store import FeatureStore
from simsiam_tf.files import expand
from simsiam_tf.methods import SSLModel
from simsiam_tf.training import factory
from simsiam_tf.training.checkpoints import restore_model
from simsiam_tf.training.workdir import Workdir, record


@dataclasses.dataclass(frozen=True)
class LoadedRun:
    """A run's network, and the data that it is judged on.

    Attributes:
        workdir: the run's folder.
        config: the configuration that the run was started with.
        data: the data set to judge the network on.
        suffix: the end of the records' names: empty for the run's own data.
        model: the method with the checkpoint's weights.
        checkpoint: the checkpoint's name.
        strategy: the distribution strategy that the model was made under.
        batch_size: the number of images embedded at a time, on each replica.
    """

    workdir: Workdir
    config: Config
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
    ) -> "LoadedRun":
        """Restores a run's network.

        Args:
            path: the run's workdir.
            checkpoint: the name of a checkpoint; if empty, the latest that can be read is taken.
            data_overrides: settings of `DataConfig` that differ from the run's.
            strategy: the distribution strategy to make the model under.
            batch_size: the number of images embedded at a time, on each replica.

        Raises:
            UsageError: if there is no run or no checkpoint.
        """
        workdir = Workdir.open_existing(path)
        config = workdir.config()
        workdir.check_writable()
        # Mixed precision keeps float32 weights: judge and export those in float32.
        factory.set_precision("float64" if config.devices.precision == "float64" else "float32")
        with strategy.scope():
            model = factory.make_model(config)
            found = restore_model(model, workdir.checkpoints, checkpoint)
        if "dataset" in data_overrides:  # another set's splits are its own
            data_overrides = {"train_split": "train", "eval_split": "auto", **data_overrides}
        data = dataclasses.replace(config.data, **data_overrides)
        return cls(
            workdir=workdir,
            config=config,
            data=data,
            suffix=_suffix(data, config.data),
            model=model,
            checkpoint=pathlib.Path(found).name,
            strategy=strategy,
            batch_size=batch_size,
        )

    @property
    def backbone(self) -> keras.Model:
        """The network from images `[B, H, W, 3]` to features `[B, D]`."""
        return self.model.backbone

    @property
    def image_size(self) -> int:
        """The side of the evaluation crop, pixels."""
        return self.config.data.image_size

    @functools.cached_property
    def train_source(self) -> Source:
        """The images to learn from, or to look at."""
        return open_source(self.data, self.data.train_split)

    @functools.cached_property
    def test_source(self) -> Source | None:
        """The images to be judged on, or `None` if the data set has no such split."""
        return open_eval_source(self.data)

    @property
    def lacks(self) -> str:
        """Why protocols that need labels cannot run; empty if they can."""
        if self.train_source.labels is None:
            return "no labels"
        test = self.test_source
        return "" if test is not None and test.labels is not None else "no labelled split to evaluate on"

    def labelled_sources(self, purpose: str) -> tuple[Source, Source]:
        """Returns the images to learn from and those to be judged on, both with labels.

        Args:
            purpose: the protocol that needs them, for the message.

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
        """The run's features on disk, in the evaluation crop."""
        return FeatureStore(
            root=self.workdir.root / "features",
            backbone=self.backbone,
            made_by={"recipe": self.config.recipe, "checkpoint": self.checkpoint},
            image_size=self.image_size,
            batch_size=self.batch_size,
            strategy=self.strategy,
        )

    def features(self, source: Source) -> Features:
        """Returns the features of a source in the evaluation crop, from disk if they are stored."""
        return self.store.features_of(source)

    def project(self, features: np.ndarray) -> np.ndarray:
        """Computes z of features in eval mode: `[N, D]` to `[N, d]`."""
        parts = np.array_split(features, max(1, len(features) // 1024))
        z = [tf.cast(self.model.projector(x, training=False), tf.float32).numpy() for x in parts]
        return metrics.finite(np.concatenate(z), "z")

    def key(self, *settings: Any) -> str:
        """Computes a short name for settings of a protocol together with the weights that it judges.

        Files of probes and of fine-tuning are found again by it. It depends on `str` of a dataclass, so on the names
        of the class and of its fields.
        """
        text = json.dumps([self.store.weights_sha256, *settings], sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def add_records(self, values: dict[str, Any], seconds: float, **produced_by: Any) -> None:
        """Adds numbers to summary.json, each with all that produced it, and prints them.

        Args:
            values: the numbers by name; the suffix of another data set is added to the names.
            seconds: the time that all of them took together.
            **produced_by: protocol, data and settings.
        """
        common = {
            **produced_by,
            "recipe": self.config.recipe,
            "checkpoint": self.checkpoint,
            "seconds": round(seconds, 2),
        }
        self.workdir.add_to_summary({f"{n}{self.suffix}": record(v, **common) for n, v in values.items()})
        shown = ", ".join(f"{n}{self.suffix} {with_unit(v, produced_by.get('unit'))}" for n, v in values.items())
        print(f"{shown}, written to {self.workdir.summary_path}")


def _suffix(data: DataConfig, own: DataConfig) -> str:
    """Names the data set that the numbers were taken on; empty for the run's own."""

    def parts(config: DataConfig) -> tuple[pathlib.Path | str, str, str]:
        folder = pathlib.Path(expand(config.data_dir)) if config.dataset == "folder" else None
        return folder or config.dataset, config.train_split, config.eval_split

    if parts(data) == parts(own):
        return ""
    names = [part.name if isinstance(part, pathlib.Path) else part for part in parts(data)]
    return "_" + "_".join(name for name in names if name != "auto")
