"""Loads a run of transfer.py: its detector with the weights of a checkpoint, and its images."""

import contextlib
import dataclasses
import functools
import pathlib
from collections.abc import Iterator
from typing import Any

import tensorflow as tf

from simsiam_tf.config.transfer import TransferConfig
from simsiam_tf.data.objects.annotations import AnnotatedImages
from simsiam_tf.data.objects.pipeline import detection_batches
from simsiam_tf.data.objects.resize import Recipe
from simsiam_tf.detection import Detector
from simsiam_tf.detection.measuring import Metric
from simsiam_tf.detection.statistics import estimated_statistics
from simsiam_tf.distribute.input import dataset_of
from simsiam_tf.distribute.strategy import ONE_DEVICE
from simsiam_tf.errors import UsageError
from simsiam_tf.training import factory
from simsiam_tf.training.checkpoints import restore_model
from simsiam_tf.training.detector_factory import make_detector, metric_of, open_images, order_of
from simsiam_tf.training.run_files import OF_EVALUATION, check_kinds
from simsiam_tf.training.transfer_summary import check_same_data, data_of
from simsiam_tf.training.transfer_workdir import TransferWorkdir

# The settings of the data that an evaluation may change.
_OF_PLACE = (
    *("data_dir", "train_annotations", "eval_annotations", "eval_dir", "index", "index_dir", "download"),
    *("max_bad_fraction", "max_pixels"),
)


@dataclasses.dataclass(frozen=True)
class LoadedDetector:
    """Holds the detector of a run with the weights of a checkpoint, and its images.

    Attributes:
        workdir: the folder of the run.
        config: the settings that the run was started with.
        detector: the detector.
        checkpoint: the name of the checkpoint.
        strategy: the distribution strategy that the detector was made under.

    Example:
        run = LoadedDetector.load("runs/detector", "", ONE_DEVICE)
        with run.estimated_statistics():
            found = measure(run.detector, run.test, run.recipe, run.metric)
    """

    workdir: TransferWorkdir
    config: TransferConfig
    detector: Detector
    checkpoint: str
    strategy: tf.distribute.Strategy

    @classmethod
    def load(
        cls, path: str, checkpoint: str, strategy: tf.distribute.Strategy, data_overrides: dict[str, Any] | None = None
    ) -> "LoadedDetector":
        """Loads the detector of a run from a checkpoint, in float32, or in float64 if it was trained so.

        Args:
            path: the folder of the run.
            checkpoint: the name or the path of a checkpoint; if empty, the latest one that can be read is taken.
            strategy: the distribution strategy to make the detector under.
            data_overrides: the settings of the data that differ from the run's, by name: where the data are.

        Raises:
            UsageError: if a setting would change the data, or the folder holds no run of transfer.py, or no checkpoint
                that can be read.
            FloatingPointError: if the weights of the checkpoint are not finite.
        """
        workdir = TransferWorkdir.open_existing(path)
        config = _with_data(workdir.config(), data_overrides or {})
        workdir.check_writable()
        check_kinds(workdir.root, OF_EVALUATION)
        data = workdir.data()
        if not data or "classes" not in data:
            raise UsageError(f"--workdir must hold a run that has begun to train. Received: {workdir.root}.")
        factory.set_precision("float64" if config.devices.precision == "float64" else "float32")
        with strategy.scope():
            detector = make_detector(config, len(data["classes"]), bool(data["has_masks"]))
            found = restore_model(detector, workdir.checkpoints, checkpoint)
        return cls(workdir, config, detector, pathlib.PurePath(found).name, strategy)

    @functools.cached_property
    def _images(self) -> tuple[AnnotatedImages, AnnotatedImages]:
        training, test = open_images(self.config)
        check_same_data(self.workdir.data() or {}, data_of(training, test), "was made with; name them by --data_dir")
        return training, test

    @property
    def training(self) -> AnnotatedImages:
        """Returns the images to train on.

        Raises:
            UsageError: if they were changed since.
        """
        return self._images[0]

    @property
    def test(self) -> AnnotatedImages:
        """Returns the images to evaluate on, with the class numbers of the detector."""
        return self._images[1]

    @property
    def classes(self) -> list[str]:
        """Returns the names of the classes, by number."""
        return list((self.workdir.data() or {})["classes"])

    @property
    def recipe(self) -> Recipe:
        """Returns how images are resized."""
        return Recipe.of(self.config.data)

    @property
    def metric(self) -> Metric:
        """Returns the measure of the run."""
        return metric_of(self.config)

    @contextlib.contextmanager
    def estimated_statistics(self) -> Iterator[None]:
        """Estimates the statistics of batch norm anew, as training does before each evaluation, in a `with` block."""
        count, order = self.config.run.precise_bn_batches, order_of(self.config, self.training)
        size, parts = order.global_batch_size, self.config.devices.accumulate_steps
        # As many replicas as divide the batch of the run, which may have had another number.
        fits = size % (self.strategy.num_replicas_in_sync * parts) == 0
        strategy = self.strategy if fits else ONE_DEVICE
        batches = dataset_of(
            strategy,
            lambda share: detection_batches(self.training, order, self.recipe, share, 0, count),
            size,
            parts,
        )
        with estimated_statistics(self.detector, batches if count else (), strategy):
            yield


def _with_data(config: TransferConfig, overrides: dict[str, Any]) -> TransferConfig:
    """Returns the settings of a run with its data in another place.

    Raises:
        UsageError: if a setting would change the data.
    """
    wrong = [name for name in overrides if name not in _OF_PLACE]
    if wrong:
        raise UsageError(
            f"A run of transfer.py is evaluated on its own data; of these flags it takes --{', --'.join(_OF_PLACE)}. "
            f"Received: --{wrong[0]}={overrides[wrong[0]]}."
        )
    return dataclasses.replace(config, data=dataclasses.replace(config.data, **overrides))
