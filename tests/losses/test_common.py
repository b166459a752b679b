import numpy as np
import pytest
import tensorflow as tf

from simsiam_tf.losses.common import at_least_float32, normalize


@pytest.mark.parametrize("tiny", [0.0, 1e-30, 1e-9, 1e-5])
def test_a_row_near_zero_has_a_bounded_gradient(tiny):
    x = tf.constant([[tiny, 0.0], [3.0, 4.0]])
    with tf.GradientTape() as tape:
        tape.watch(x)
        unit = normalize(x)
    np.testing.assert_allclose(unit, [[tiny * 1e4, 0], [0.6, 0.8]], atol=1e-6)
    gradient = tape.gradient(unit, x).numpy()
    assert np.isfinite(gradient).all()
    assert np.abs(gradient).max() < 1.1e4


@pytest.mark.parametrize(
    ("given", "expected"),
    [(tf.float16, tf.float32), (tf.bfloat16, tf.float32), (tf.float32, tf.float32), (tf.float64, tf.float64)],
)
def test_only_half_precision_is_promoted(given, expected):
    x = tf.ones([2, 3], given)
    assert at_least_float32(x).dtype == normalize(x).dtype == expected
