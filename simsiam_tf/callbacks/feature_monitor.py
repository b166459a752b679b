"""How good the features are, while they are being learned: the kNN monitor (paper App. D) and what comes with it."""

import time
from typing import Any

import keras

from simsiam_tf.data.sources import Source
from simsiam_tf.features import metrics
from simsiam_tf.features.embed import embed_source
from simsiam_tf.features.knn import KNNProtocol, knn_scores
from simsiam_tf.methods import SSLModel

_BATCH_SIZE = 256


class FeatureMonitor(keras.callbacks.Callback):
    """Embeds images every few epochs and at the last one, and puts what their features say into the logs.

    Without labels that is `feature_effective_rank` and `feature_dead_channels`; with a kNN protocol, whose queries they
    then are, `knn_top1`, and of an online probe, where there is one, `online_probe_top1`.

    Args:
        protocol: of the kNN number; `None`: there is none.
        images: that are embedded.
        image_size: of the evaluation crop, pixels.
        every_epochs: how often.
        epochs: of the run.
    """

    def __init__(self, protocol: KNNProtocol | None, images: Source, image_size: int, every_epochs: int, epochs: int):
        super().__init__()
        self._protocol, self._images = protocol, images
        self._image_size = image_size
        self._every_epochs = every_epochs
        self._epochs = epochs

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if (epoch + 1) % self._every_epochs == 0 or epoch + 1 == self._epochs:
            logs.update(self.measure(self.model))
            names = {"knn_top1": "kNN", "online_probe_top1": "online probe"}
            said = [f"effective rank {logs['feature_effective_rank']:.1f}"]
            said += [f"{words} {logs[name]:.2f} %" for name, words in names.items() if name in logs]
            print(f"epoch {epoch + 1}: {', '.join(said)}")

    def measure(self, model: SSLModel, verbose: bool = False) -> dict[str, float]:
        """The numbers of a network as it is; `verbose` shows progress."""
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
