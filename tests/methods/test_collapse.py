import keras
import numpy as np
import tensorflow as tf

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
