"""How good the features are, while they are being learned: the kNN monitor (paper App. D) and what comes with it."""

import time

import keras
import numpy as np

from simsiam_tf.evaluation import metrics
from simsiam_tf.evaluation.features import embed_source
from simsiam_tf.evaluation.knn import KNNProtocol, knn_scores
from simsiam_tf.methods import SSLModel


class FeatureMonitor(keras.callbacks.Callback):
    """Embeds bank and queries every few epochs and at the last one, and puts what they say into the logs.

    That is `knn_top1`; without labels `feature_effective_rank` and `feature_dead_channels` of the queries; and of an
    online probe, where there is one, `online_probe_top1` on the queries.

    Args:
        protocol: of the kNN number.
        image_size: of the evaluation crop, pixels.
        every_epochs: how often.
        epochs: of the run.
    """

    def __init__(self, protocol: KNNProtocol, image_size: int, every_epochs: int, epochs: int):
        super().__init__()
        self._protocol = protocol
        self._image_size = image_size
        self._every_epochs = every_epochs
        self._epochs = epochs

    def on_epoch_end(self, epoch, logs=None):
        if (epoch + 1) % self._every_epochs == 0 or epoch + 1 == self._epochs:
            logs.update(self.measure(self.model))
            online = f", online probe {logs['online_probe_top1']:.2f} %" if "online_probe_top1" in logs else ""
            print(f"epoch {epoch + 1}: kNN {logs['knn_top1']:.2f} %{online}")

    def measure(self, model: SSLModel, verbose: bool = False) -> dict[str, float]:
        """The numbers of a network as it is; `verbose` shows progress."""
        start, protocol, size, batch = time.monotonic(), self._protocol, self._image_size, 256
        bank = embed_source(model.backbone, protocol.bank, size, batch, verbose)
        queries = embed_source(model.backbone, protocol.queries, size, batch, verbose)
        scores = knn_scores(bank, queries, protocol.bank.num_classes, (protocol.k,), (protocol.temperature,))
        features = queries.loaded()
        logs = {
            "knn_top1": scores[protocol.k, protocol.temperature].top1,
            "feature_effective_rank": metrics.effective_rank(metrics.spectrum(features)),
            "feature_dead_channels": metrics.dead_channels(features),
        }
        if model.online_probe is not None:
            predicted = np.argmax(model.online_probe(features), axis=1)
            logs["online_probe_top1"] = 100.0 * float(np.mean(predicted == queries.labels))
        return logs | {"monitor_seconds": time.monotonic() - start}
