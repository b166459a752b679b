"""Loads a run of train.py for evaluation: its network, the images to evaluate it on, and its records."""

import dataclasses
import functools
import hashlib
import json
import logging
import os
import pathlib
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from simsiam_tf.config.data import DataConfig
from simsiam_tf.config.messages import RESULT
from simsiam_tf.config.run import Config
from simsiam_tf.data.dataset import DataSet
from simsiam_tf.data.overview import describe_change, identity
from simsiam_tf.data.sources import Source
from simsiam_tf.errors import UsageError, check
from simsiam_tf.evaluation.values import with_unit
from simsiam_tf.features import metrics
from simsiam_tf.features.embed import Features
from simsiam_tf.features.store import FeatureStore
from simsiam_tf.files import is_file, user_path
from simsiam_tf.methods import SSLModel
from simsiam_tf.training import factory
from simsiam_tf.training.checkpoints import restore_model
from simsiam_tf.training.data_record import held_out_by
from simsiam_tf.training.run_files import OF_EVALUATION, check_kinds
from simsiam_tf.training.workdir import Workdir, record

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class LoadedRun:
    """Holds a run's network with the weights of a checkpoint, and the data to evaluate it on.

    Attributes:
        workdir: the run's folder.
        config: the configuration that the run was started with.
        data: the data set to evaluate on. It is the run's own unless it was overridden.
        suffix: the ending of the records' names; empty for the run's own data.
        model: the method with the checkpoint's weights.
        checkpoint: the checkpoint's name.
        strategy: the distribution strategy that the model was made under.
        batch_size: the number of images embedded at a time, on each replica.

    Example:
        run = LoadedRun.load("runs/cifar10", "", {}, ONE_DEVICE)
        features = run.features(run.train_source)
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
        """Loads a run's network from a checkpoint.

        Args:
            path: the run's workdir.
            checkpoint: the path of a checkpoint; if empty, the latest one that can be read is taken.
            data_overrides: the settings of `DataConfig` that differ from the run's, by name.
            strategy: the distribution strategy to make the model under.
            batch_size: the number of images to embed at a time, on each replica.

        Raises:
            UsageError: if the workdir holds no run, has no readable checkpoint, holds damaged files, or cannot be
                written to.
            FloatingPointError: if the checkpoint's weights are not finite.
        """
        workdir = Workdir.open_existing(path)
        config = workdir.config()
        workdir.check_writable()
        check_kinds(workdir.root, OF_EVALUATION)
        workdir.summary()
        # A run in mixed precision has float32 weights, so it is evaluated and exported in float32.
        factory.set_precision("float64" if config.devices.precision == "float64" else "float32")
        with strategy.scope():
            model = factory.make_model(config)
            found = restore_model(model, workdir.checkpoints, checkpoint)
        if "dataset" in data_overrides:  # the run's splits may not exist in another data set
            data_overrides = {"train_split": "train", "eval_split": "auto", "input": "auto", **data_overrides}
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
        """Returns the network from images `[B, H, W, 3]` to features `[B, D]`."""
        return self.model.backbone

    @property
    def image_size(self) -> int:
        """Returns the side of the evaluation crop, pixels."""
        return self.config.data.image_size

    @functools.cached_property
    def data_set(self) -> DataSet:
        """Returns the data set to evaluate on.

        Raises:
            UsageError: if it is the run's own and was changed, unless `--data_changed=continue` allows it.
        """
        if self.suffix:
            return DataSet(self.data)
        data, before = DataSet(self.data, held_out_by(self.workdir.root)), self.workdir.data() or {}
        now = identity(data) if "fingerprint" in before else {"images": data.training.num_examples}
        trained_on = data.training.first(self.data.max_examples).num_examples
        changed = describe_change(before, {**now, "trained_on": trained_on})
        if changed and self.data.data_changed != "continue":
            raise UsageError(
                "The images are not those that the run was trained on; name the right ones by --data_dir, or say "
                f"--data_changed=continue. Received: {changed}."
            )
        if changed:
            _log.warning(f"the images are not those that the run was trained on ({changed}).")
        return data

    @functools.cached_property
    def train_source(self) -> Source:
        """Returns the training images, which are also those that `embed` and `neighbours` use."""
        return self.data_set.training

    @functools.cached_property
    def labelled_source(self) -> Source | None:
        """Returns the labelled images that protocols learn from: the training images, if they are labelled."""
        return self.data_set.labelled

    @functools.cached_property
    def test_source(self) -> Source | None:
        """Returns the test images, or `None` if the data set has no split for them."""
        return self.data_set.evaluation

    @property
    def lacks(self) -> str:
        """Returns what the data lack for protocols that need labels, as a phrase; an empty string if nothing."""
        if self.labelled_source is None:
            return "no labels"
        test = self.test_source
        return "" if test is not None and test.labels is not None else "no labelled split to evaluate on"

    def labelled_sources(self, purpose: str) -> tuple[Source, Source]:
        """Returns the labelled training images and the test images, both with labels.

        Args:
            purpose: the name of the protocol that needs labels, for the error message.

        Raises:
            UsageError: if labels are missing.
        """
        train, test = self.labelled_source, self.test_source
        if self.lacks or train is None or test is None:
            raise UsageError(
                f"{purpose} needs a training split and a test split with labels. "
                f"Received: {self.data.dataset} with {self.lacks}."
            )
        return train, test

    @functools.cached_property
    def store(self) -> FeatureStore:
        """Returns the store of the run's features on disk."""
        return FeatureStore(
            root=self.workdir.root / "features",
            backbone=self.backbone,
            made_by={"recipe": self.config.recipe, "checkpoint": self.checkpoint},
            image_size=self.image_size,
            batch_size=self.batch_size,
            strategy=self.strategy,
        )

    def features(self, source: Source) -> Features:
        """Returns the features of a source's evaluation crops. They are computed once, and then read from disk.

        Args:
            source: the images.

        Raises:
            FloatingPointError: if a feature is not finite.
        """
        return self.store.features_of(source)

    def project(self, features: np.ndarray) -> np.ndarray:
        """Computes z from features in eval mode: `[N, D]` to `[N, d]`.

        Raises:
            FloatingPointError: if a number in z is not finite.
        """
        parts = np.array_split(features, max(1, len(features) // 1024))
        z = [tf.cast(self.model.projector(x, training=False), tf.float32).numpy() for x in parts]
        return metrics.finite(np.concatenate(z), "z")

    def key(self, *settings: Any) -> str:
        """Computes a short hash of a protocol's settings and of the backbone's weights.

        It is part of the names of the files of probes and of fine-tuning, so that the same call finds them again. A
        dataclass is hashed by its `str`: if the class or one of its fields is renamed, the hash changes.

        Args:
            *settings: the settings: JSON values, or objects with a `str` that tells them apart.

        Returns:
            12 hexadecimal digits.
        """
        text = json.dumps([self.store.weights_sha256, *settings], sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def add_records(self, values: dict[str, Any], seconds: float, **produced_by: Any) -> None:
        """Adds numbers to summary.json, each with the settings that produced it, and prints them.

        Args:
            values: the numbers by name. `suffix` is added to the names.
            seconds: the time that all numbers took together.
            **produced_by: the protocol, the data and the settings.
        """
        common = {
            **produced_by,
            "recipe": self.config.recipe,
            "checkpoint": self.checkpoint,
            "seconds": round(seconds, 2),
        }
        self.workdir.add_to_summary({f"{n}{self.suffix}": record(v, **common) for n, v in values.items()})
        shown = ", ".join(f"{n}{self.suffix} {with_unit(v, produced_by.get('unit'))}" for n, v in values.items())
        _log.log(RESULT, f"{shown}, written to {self.workdir.summary_path}")


def load(workdir: str | os.PathLike[str], checkpoint: str = "") -> keras.Model:
    """Loads the trained backbone of a run.

    Args:
        workdir: the folder of a run of train.py.
        checkpoint: the path of one of its checkpoints; by default the latest readable one.

    Returns:
        The backbone: images `[B, H, W, 3]` to features `[B, D]`, in float32 (float64 for a run in float64). The caller
        resizes images as in training, and normalises them by ImageNet's mean and standard deviation; the export of
        `evaluate.py --protocol=export` does both inside.

    Raises:
        UsageError: if the folder holds no run, or the run has no readable checkpoint.
        FloatingPointError: if the checkpoint's weights are not finite.

    Example:
        >>> import simsiam_tf
        >>> backbone = simsiam_tf.load("runs/cifar10")  # doctest: +SKIP
        >>> images = simsiam_tf.TwoViews("linear_eval", size=32)(photos)[0]  # doctest: +SKIP
        >>> features = backbone(images)  # doctest: +SKIP
    """
    path = os.fspath(workdir)
    rule = "workdir must be the folder of a run, with the config.json that train.py wrote."
    check(is_file(user_path(path) / "config.json"), rule, repr(path))
    run = Workdir.open_existing(path)
    config = run.config()
    with factory.computing_in(config):  # the caller's own layers are not of this run
        model = factory.make_model(config)
    restore_model(model, run.checkpoints, checkpoint)
    return model.backbone


def _suffix(data: DataConfig, own: DataConfig) -> str:
    """Returns the ending of the records' names, made from the data set and its splits; empty for the run's own."""

    def parts(config: DataConfig) -> tuple[pathlib.Path | str, str, str]:
        folder = user_path(config.data_dir) if config.dataset in ("folder", "shards") else None
        return folder or config.dataset, config.train_split, config.eval_split

    if parts(data) == parts(own):
        return ""
    names = [part if isinstance(part, str) else part.name for part in parts(data)]
    return "_" + "_".join(name for name in names if name != "auto")
