import logging

import keras
import numpy as np
import pytest
import tensorflow as tf

from simsiam_tf import KNNMonitor, SimSiam
from simsiam_tf.callbacks.feature_monitor import FeatureMonitor
from simsiam_tf.data.sources import memory_source
from simsiam_tf.distribute.strategy import ONE_DEVICE
from simsiam_tf.errors import UsageError
from simsiam_tf.features.embed import embed_source
from simsiam_tf.features.knn import KNNProtocol, knn_scores
from tests.methods.test_methods import make, make_views


def coloured(rng, n):
    classes = np.arange(n) % 2
    images = rng.integers(0, 40, (n, 16, 16, 3)).astype("uint8")
    images[classes == 1, ..., 0] += 200
    return images, classes


def test_knn_accuracy_is_logged_by_plain_fit(rng):
    model = make("simsiam")
    assert isinstance(model, SimSiam)
    train, test = coloured(rng, 20), coloured(rng, 10)
    monitor = KNNMonitor(train=train, test=(test[0], test[1][:, np.newaxis]), k=3, every_epochs=2)
    dataset = tf.data.Dataset.from_tensors(make_views(rng, 4))
    history = model.fit(dataset, epochs=3, verbose=0, callbacks=[monitor]).history
    assert len(history["knn_top1"]) == 2  # the second epoch and the last
    features = [embed_source(model.backbone, memory_source("x", *pair, 2), 16, 8) for pair in (train, test)]
    assert history["knn_top1"][-1] == knn_scores(*features, 2, (3,))[3, 0.1].top1
    assert history["feature_effective_rank"][-1] > 0


@pytest.mark.parametrize(
    ("images", "classes", "rule"),
    [
        (np.zeros([2, 8, 8, 3], "float32"), np.arange(2), r"images \[N, H, W, 3\] of uint8"),
        (np.zeros([2, 8, 8], "uint8"), np.arange(2), r"images \[N, H, W, 3\] of uint8"),
        (np.zeros([0, 8, 8, 3], "uint8"), np.arange(0), r"images \[N, H, W, 3\] of uint8"),
        (np.zeros([2, 8, 8, 3], "uint8"), np.arange(3), "a class for each of its 2 images"),
        (np.zeros([2, 8, 8, 3], "uint8"), np.eye(2), "a class for each of its 2 images"),
        (np.zeros([2, 8, 8, 3], "uint8"), np.array([0, -1]), "a whole number from 0"),
    ],
)
def test_images_and_classes_of_another_form_are_refused(images, classes, rule):
    good = np.zeros([2, 8, 8, 3], "uint8"), np.arange(2)
    with pytest.raises(UsageError, match=f"^test must hold .*{rule}.* Received: "):
        KNNMonitor(train=good, test=(images, classes))
    assert keras.callbacks.Callback in KNNMonitor.__mro__


def test_the_monitor_says_once_what_it_does_and_once_that_it_takes_long(rng, caplog, monkeypatch):
    model, (train, test) = make("simsiam"), (coloured(rng, 20), coloured(rng, 10))
    monitor = KNNMonitor(train=train, test=test, k=3)
    dataset = tf.data.Dataset.from_tensors(make_views(rng, 4))
    with caplog.at_level(logging.INFO, "simsiam_tf"):
        model.fit(dataset, epochs=3, verbose=0, callbacks=[monitor])
    said = [record.getMessage() for record in caplog.records]
    assert sum(line == "Monitor (kNN): 30 images." for line in said) == 1  # too few to tell the time
    advice = [line for line in said if "a larger every_epochs makes it come less often" in line]
    assert len(advice) == 1  # an epoch is one step of four images

    quick = KNNMonitor(train=train, test=test, k=3)
    monkeypatch.setattr(quick, "measure", lambda model: {"knn_top1": 0.0, "monitor_seconds": 0.0} | EMPTY)
    caplog.clear()
    with caplog.at_level(logging.INFO, "simsiam_tf"):
        model.fit(dataset, epochs=2, verbose=0, callbacks=[quick])
    assert "makes it come less often" not in caplog.text


EMPTY = {"feature_effective_rank": 1.0, "feature_dead_channels": 0.0}


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16"])
def test_replicas_share_the_work_in_the_precision_of_the_run(rng, two_replicas, precision):
    images, classes = coloured(rng, 40)
    source = memory_source("x", images, classes, 2)
    keras.config.set_dtype_policy(precision)
    try:
        scores = []
        for strategy in (ONE_DEVICE, two_replicas):
            with strategy.scope():
                keras.utils.set_random_seed(0)
                model = make("simsiam")
            monitor = FeatureMonitor(KNNProtocol(source, source, k=3), source, 16, 1, 1, strategy)
            scores.append(monitor.measure(model))
        assert model.backbone.compute_dtype == ("bfloat16" if "bfloat16" in precision else "float32")
    finally:
        keras.config.set_dtype_policy("float32")
    assert scores[0]["knn_top1"] == scores[1]["knn_top1"]
    assert scores[0]["feature_effective_rank"] == pytest.approx(scores[1]["feature_effective_rank"], rel=1e-3)
