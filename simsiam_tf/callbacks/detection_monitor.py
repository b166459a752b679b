"""Measures the average precision of a detector while it is trained."""

import logging
import time
from collections.abc import Callable, Iterable
from typing import Any

import keras
import tensorflow as tf

from simsiam_tf.data.objects.annotations import AnnotatedImages
from simsiam_tf.data.objects.resize import Recipe
from simsiam_tf.detection import Detector
from simsiam_tf.detection.measuring import Measured, Metric, measure
from simsiam_tf.detection.statistics import estimated_statistics

_log = logging.getLogger(__name__)


class DetectionMonitor(keras.callbacks.Callback):
    """Measures the average precision every few steps and after the last one, and adds it to the logs, in percent.

    Args:
        images: the images to evaluate on.
        recipe: how images are resized.
        metric: `coco`, `voc07` or `voc12`.
        batch_size: the number of images in a batch.
        every: the number of periods of the log between two evaluations; 0 evaluates only after the last one.
        periods: the number of periods of the run.
        batches: a function that makes the training batches by which batch norm is estimated anew.
        strategy: the distribution strategy that the detector was made under.
    """

    def __init__(
        self,
        images: AnnotatedImages,
        recipe: Recipe,
        metric: Metric,
        *,
        batch_size: int,
        every: int,
        periods: int,
        batches: Callable[[], Iterable[Any]],
        strategy: tf.distribute.Strategy,
    ) -> None:
        super().__init__()
        self._images, self._recipe, self._metric, self._batch_size = images, recipe, metric, batch_size
        self._every, self._periods, self._batches, self._strategy = every, periods, batches, strategy

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Measures if it is time to, and puts the numbers into the logs. An epoch here is a period of the log."""
        is_due = bool(self._every) and (epoch + 1) % self._every == 0
        if is_due or epoch + 1 == self._periods:
            start = time.monotonic()
            measured = self.measure(self.model)
            known = {name: value for name, value in measured.scores.items() if value is not None}
            logs.update(known, eval_images=len(measured.found), eval_seconds=time.monotonic() - start)
            shown = ", ".join(f"{name.replace('_', ' ').replace('ap', 'AP')} {v:.2f} %" for name, v in known.items())
            _log.info(
                f"Evaluation on {len(measured.found)} images of {self._images.source.name}: {shown or 'nothing'}."
            )

    def measure(self, detector: Detector, verbose: bool = False) -> Measured:
        """Measures a detector as it is, with the statistics of batch norm estimated anew.

        Args:
            detector: the detector.
            verbose: whether to show the progress.
        """
        with estimated_statistics(detector, self._batches(), self._strategy):
            return measure(detector, self._images, self._recipe, self._metric, self._batch_size, verbose)
