import time

import keras
import numpy as np
import tensorflow as tf

from simsiam_tf import SimSiam, resnet18
from simsiam_tf.callbacks.collapse_monitor import CollapseMonitor
from simsiam_tf.methods.base import SSLModel
from tests.methods.test_methods import make, make_views


def test_measuring_changes_no_bit_of_the_weights(rng, monkeypatch):
    views, bits = make_views(rng), []
    for measures in (True, False):
        if not measures:
            monkeypatch.setattr(SSLModel, "logs", lambda self, batch, z: dict.fromkeys(self.log_names, tf.zeros([])))
        keras.utils.set_random_seed(0)
        model = make("simsiam")
        step = tf.function(model.train_step, autograph=False)
        for _ in range(3):
            logs = step(views)
        bits.append([v.numpy() for v in [*model.variables, *model.optimizer.variables]])
    assert float(logs["z_rank"]) == 0
    for a, b in zip(*bits, strict=True):
        np.testing.assert_array_equal(a, b)


def test_measuring_takes_less_than_a_hundredth_of_the_operations_of_a_step(rng, monkeypatch):
    """Of the demo's network and batch. benchmarks/guard_cost.py measures the time."""
    counts = []
    for measures in (True, False):
        if not measures:
            monkeypatch.setattr(SSLModel, "logs", lambda self, batch, z: dict.fromkeys(self.log_names, tf.zeros([])))
        model = SimSiam(resnet18(cifar_stem=True, width=0.125), 512, 2, predictor_dim=128)
        views = tf.TensorSpec((64, 32, 32, 3)), tf.TensorSpec((64, 32, 32, 3))
        graph = tf.function(lambda *x, model=model: model.compute_ssl_loss({"views": x}, training=True))
        options = tf.compat.v1.profiler.ProfileOptionBuilder.float_operation()
        options["output"] = "none"
        graph = graph.get_concrete_function(*views).graph
        counts.append(tf.compat.v1.profiler.profile(graph, options=options).total_float_ops)
    assert counts[1] > 1e9
    assert 1 < counts[0] / counts[1] < 1.01


def test_the_monitor_takes_microseconds():
    """A step of the demo takes tens of milliseconds."""
    monitor = CollapseMonitor(on_collapse="ignore")
    monitor.set_params({"epochs": 10, "steps": 1000})
    monitor.on_train_begin()
    monitor.on_epoch_begin(0)
    logs = {"loss": -0.5, "z_std_scaled": 0.98, "z_mean_length": 0.1, "z_rank": 6.0, "gradient_norm": 1.0}
    start = time.process_time()
    for batch in range(1000):
        monitor.on_train_batch_end(batch, logs)
    assert (time.process_time() - start) / 1000 < 300e-6
