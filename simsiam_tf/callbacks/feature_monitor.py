"""Measures the features while they are being learned: the kNN monitor (paper App. D) and measures without labels."""

import logging
import time
from typing import Any

import keras

from simsiam_tf.data.sources import Source
from simsiam_tf.features import metrics
from simsiam_tf.features.embed import embed_source
from simsiam_tf.features.knn import KNNProtocol, knn_scores
from simsiam_tf.methods import SSLModel

_log = logging.getLogger(__name__)
_BATCH_SIZE = 256


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
    """

    def __init__(
        self, protocol: KNNProtocol | None, images: Source, image_size: int, every_epochs: int, epochs: int
    ) -> None:
        super().__init__()
        self._protocol, self._images = protocol, images
        self._image_size = image_size
        self._every_epochs = every_epochs
        self._epochs = epochs

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Measures if it is time to, and puts the numbers into the logs."""
        if (epoch + 1) % self._every_epochs == 0 or epoch + 1 == self._epochs:
            logs.update(self.measure(self.model))
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
        start, protocol, size = time.monotonic(), self._protocol, self._image_size
        queries = embed_source(model.backbone, self._images, size, _BATCH_SIZE, verbose)
        features, logs = queries.loaded(), {}
        if protocol is not None:
            bank = embed_source(model.backbone, protocol.bank, size, _BATCH_SIZE, verbose)
            scores = knn_scores(bank, queries, protocol.bank.num_classes, (protocol.k,), (protocol.temperature,))
            logs["knn_top1"] = scores[protocol.k, protocol.temperature].top1
            if model.online_probe is not None:
                (hits,) = metrics.count_hits(model.online_probe(features), queries.known_labels, (1,))
                logs["online_probe_top1"] = float(metrics.percent(hits, len(queries)))
        logs["feature_effective_rank"] = metrics.effective_rank(metrics.spectrum(features))
        logs["feature_dead_channels"] = metrics.dead_channels(features)
        return logs | {"monitor_seconds": time.monotonic() - start}
