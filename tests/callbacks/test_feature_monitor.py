"""What the monitor says of the time that it will take."""

import time
from types import SimpleNamespace

import numpy as np
import pytest

from simsiam_tf.callbacks import feature_monitor
from simsiam_tf.callbacks.feature_monitor import FeatureMonitor

TRACING, EMBEDDING = 10.0, 2.0


@pytest.mark.parametrize(
    ("images", "replicas", "said"),
    [
        (2560, 1, "2,560 images, about 20 seconds each time."),
        (2560, 2, "2,560 images, about 20 seconds each time."),
        (700, 1, "700 images."),  # two whole batches, of which the second was read while the first was traced
        (300, 1, "300 images."),
        (5, 1, "5 images."),
    ],
)
def test_tracing_is_no_part_of_the_time_that_is_announced(images, replicas, said, monkeypatch, caplog):
    """A batch of another size is traced anew. The batch after a tracing was read during it."""
    clock = [0.0]

    def batches(_, rows, strategy):
        sizes = [256] * (rows // 256) + [rows % 256] * (rows % 256 > 0)
        for number, size in enumerate(sizes):
            is_traced = number == 0 or size != 256
            clock[0] += TRACING if is_traced else EMBEDDING / 2 if number <= replicas else EMBEDDING
            yield np.zeros((size, 4)), np.arange(size)

    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(feature_monitor, "feature_batches", batches)
    monkeypatch.setattr(feature_monitor, "evaluation_dataset", lambda few, *_: few)
    monitor = object.__new__(FeatureMonitor)
    monitor._has_announced, monitor._protocol, monitor._image_size = False, None, 32
    monitor._images = SimpleNamespace(num_examples=images, first=lambda count: min(count, images))
    monitor._strategy = SimpleNamespace(num_replicas_in_sync=replicas)
    caplog.set_level("INFO")
    monitor._announce(SimpleNamespace(backbone=None))
    assert caplog.messages == [f"Monitor (spread of the features): {said}"]
