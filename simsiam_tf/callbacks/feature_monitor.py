"""Measures the features while they are being learned: the kNN monitor (paper App. D) and measures without labels."""

import logging
import time
from typing import Any

import keras
import tensorflow as tf

from simsiam_tf.data.pipeline import evaluation_dataset
from simsiam_tf.data.sources import Source
from simsiam_tf.distribute.strategy import ONE_DEVICE
from simsiam_tf.features import metrics
from simsiam_tf.features.embed import embed_source, feature_batches
from simsiam_tf.features.knn import KNNProtocol, knn_scores
from simsiam_tf.methods import SSLModel
from simsiam_tf.progress import duration

_log = logging.getLogger(__name__)
_BATCH_SIZE = 256
# A share of the training time that is worth a word.
_LONG = 0.05


class FeatureMonitor(keras.callbacks.Callback):
    """Embeds images every few epochs and after the last one, and adds measures of their features to the logs.

    The measures are `feature_effective_rank` and `feature_dead_channels`, which need no labels. With a kNN protocol
    there is `knn_top1` too, and with an online probe `online_probe_top1`, both in percent.

    Args:
        protocol: the kNN protocol, whose queries are the embedded images; `None` leaves kNN out.
        images: the images to embed.
        image_size: the side of the evaluation crop in pixels.
        every_epochs: the number of epochs between two measurements.
        epochs: the number of epochs of the run; 0 until training begins and Keras says it.
        strategy: the distribution strategy that the backbone was made under; its replicas share the work.

    Attributes:
        every_option: the name of the option for `every_epochs`, for messages.
    """

    every_option = "--knn_every_epochs"

    def __init__(
        self,
        protocol: KNNProtocol | None,
        images: Source,
        image_size: int,
        every_epochs: int,
        epochs: int,
        strategy: tf.distribute.Strategy = ONE_DEVICE,
    ) -> None:
        super().__init__()
        self._strategy = strategy
        self._epoch_start = time.monotonic()
        self._has_announced = self._has_advised = False
        self._protocol, self._images = protocol, images
        self._image_size = image_size
        self._every_epochs = every_epochs
        self._epochs = epochs

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Notes the time."""
        self._epoch_start = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Measures if it is time to, and puts the numbers into the logs."""
        if (epoch + 1) % self._every_epochs == 0 or epoch + 1 == self._epochs:
            of_epoch = time.monotonic() - self._epoch_start
            logs.update(self.measure(self.model))
            self._advise(logs["monitor_seconds"], of_epoch)
            names = {"knn_top1": "kNN", "online_probe_top1": "online probe"}
            parts = [f"effective rank {logs['feature_effective_rank']:.1f}"]
            parts += [f"{words} {logs[name]:.2f} %" for name, words in names.items() if name in logs]
            _log.info("epoch %d: %s", epoch + 1, ", ".join(parts))

    def measure(self, model: SSLModel, verbose: bool = False) -> dict[str, float]:
        """Measures the features of a network as it is.

        Args:
            model: the method whose backbone is measured.
            verbose: whether to show the progress of embedding.

        Returns:
            The measures by name, and `monitor_seconds`, the time that they took.
        """
        self._announce(model)
        start, protocol, size = time.monotonic(), self._protocol, self._image_size
        queries = embed_source(model.backbone, self._images, size, _BATCH_SIZE, verbose, self._strategy)
        features, logs = queries.loaded(), {}
        if protocol is not None:
            bank = embed_source(model.backbone, protocol.bank, size, _BATCH_SIZE, verbose, self._strategy)
            scores = knn_scores(bank, queries, protocol.bank.num_classes, (protocol.k,), (protocol.temperature,))
            logs["knn_top1"] = scores[protocol.k, protocol.temperature].top1
            if model.online_probe is not None:
                (hits,) = metrics.count_hits(model.online_probe(features), queries.known_labels, (1,))
                logs["online_probe_top1"] = float(metrics.percent(hits, len(queries)))
        logs["feature_effective_rank"] = metrics.effective_rank(metrics.spectrum(features))
        logs["feature_dead_channels"] = metrics.dead_channels(features)
        return logs | {"monitor_seconds": time.monotonic() - start}

    def _announce(self, model: SSLModel) -> None:
        """Says, before the first measurement, how many images it embeds, and about how long that takes."""
        if self._has_announced:
            return
        self._has_announced = True
        count = self._images.num_examples + (self._protocol.bank.num_examples if self._protocol else 0)
        group = _BATCH_SIZE * self._strategy.num_replicas_in_sync
        few = self._images.first(3 * group)
        ends = []
        for features, _ in feature_batches(
            model.backbone, evaluation_dataset(few, self._image_size, _BATCH_SIZE), self._strategy
        ):
            ends += [time.monotonic()] if len(features) == _BATCH_SIZE else []  # a smaller one is traced anew
        # The network is traced for the first group, and the second is read meanwhile; the third tells the time.
        timed = ends[2 * self._strategy.num_replicas_in_sync - 1 :]
        what = "kNN" if self._protocol else "spread of the features"
        length = ""
        if len(timed) > 1:
            seconds = (timed[-1] - timed[0]) * count / (len(timed) - 1) / _BATCH_SIZE
            length = f", {'about ' if seconds >= 1 else ''}{duration(seconds)} each time"
        _log.info(f"Monitor ({what}): {count:,} images{length}.")

    def _advise(self, seconds: float, of_epoch: float) -> None:
        """Names the flag that makes measurements rarer, once, if they take long beside the epochs between them."""
        if not self._has_advised and seconds > _LONG * of_epoch * self._every_epochs:
            self._has_advised = True
            _log.info(
                f"The monitor took {duration(seconds)}, and an epoch {duration(of_epoch)}; a larger "
                f"{self.every_option} makes it come less often."
            )
