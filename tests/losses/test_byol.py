import numpy as np
import pytest
import tensorflow as tf

from simsiam_tf.losses.byol import byol_loss
from simsiam_tf.losses.simsiam import simsiam_loss


@pytest.fixture
def outputs(rng):
    """p1, p2, z1, z2 of 6 images."""
    return [rng.standard_normal((6, 10)) for _ in range(4)]


def squared_distance(a, b):
    a, b = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (a, b))
    return np.sum((a - b) ** 2, axis=1)


def test_value_equals_numpy(outputs):
    p1, p2, z1, z2 = outputs
    expected = squared_distance(p1, z2) + squared_distance(p2, z1)
    np.testing.assert_allclose(byol_loss((p1, p2), (z1, z2)), expected, atol=1e-13)


def test_is_simsiam_s_but_for_scale_and_origin(outputs):
    p1, p2, z1, z2 = map(tf.constant, outputs)
    np.testing.assert_allclose(byol_loss((p1, p2), (z1, z2)), 4 + 4 * simsiam_loss((p1, p2), (z2, z1)), atol=1e-13)


def test_targets_get_no_gradient(outputs):
    p1, p2, z1, z2 = tensors = [tf.constant(x) for x in outputs]
    with tf.GradientTape() as tape:
        tape.watch(tensors)
        loss = byol_loss((p1, p2), (z1, z2))
    gradients = tape.gradient(loss, tensors, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    assert [np.abs(g).max() > 1e-3 for g in gradients] == [True, True, False, False]
    assert all(np.abs(g).max() == 0 for g in gradients[2:])
