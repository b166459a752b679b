"""The kNN monitor: how good the features are, without training anything (paper App. D)."""

import keras

from simsiam_tf.evaluation.knn import KNNProtocol


class KNNMonitor(keras.callbacks.Callback):
    """Puts `knn_top1` into the logs every few epochs and at the last one."""

    def __init__(self, protocol: KNNProtocol, every_epochs: int, epochs: int):
        super().__init__()
        self._protocol = protocol
        self._every_epochs = every_epochs
        self._epochs = epochs

    def on_epoch_end(self, epoch, logs=None):
        if (epoch + 1) % self._every_epochs == 0 or epoch + 1 == self._epochs:
            logs["knn_top1"] = self._protocol.accuracy(self.model.backbone)
            print(f"epoch {epoch + 1}: kNN {logs['knn_top1']:.2f} %")
