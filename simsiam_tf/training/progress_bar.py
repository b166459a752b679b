"""Shows Keras' progress of an epoch, without the measures that only the guard reads."""

from typing import Any

import keras

from simsiam_tf.methods.base import LEFT_OUT

# metrics.jsonl, TensorBoard and the report have them.
_LEFT_TO_FILES = {"z_mean_length", "z_rank", "feature_rank", "gradient_norm", LEFT_OUT}


class ProgressBar(keras.callbacks.ProgbarLogger):
    """Shows a bar in a terminal, and elsewhere a line for each epoch, with the logs that a reader follows."""

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Shows the logs of the epoch so far."""
        super().on_train_batch_end(batch, _shown(logs))

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Shows the logs of the epoch."""
        super().on_epoch_end(epoch, _shown(logs))


def _shown(logs: Any) -> dict[str, float]:
    return {name: value for name, value in (logs or {}).items() if name not in _LEFT_TO_FILES}
