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


def test_gradient_equals_finite_differences(outputs):
    p1, p2, z1, z2 = outputs
    predictions = [tf.constant(p1), tf.constant(p2)]
    with tf.GradientTape() as tape:
        tape.watch(predictions)
        loss = tf.reduce_sum(byol_loss(predictions, (tf.constant(z1), tf.constant(z2))))
    gradients = tape.gradient(loss, predictions)
    for p, z, gradient in ((p1, z2, gradients[0]), (p2, z1, gradients[1])):
        for at in ((0, 0), (5, 9)):
            step = np.zeros_like(p)
            step[at] = 1e-6
            moved = (squared_distance(p + step, z) - squared_distance(p - step, z)).sum() / 2e-6
            assert gradient.numpy()[at] == pytest.approx(moved, abs=1e-8)


def test_reduced_precision_is_computed_in_float32(outputs):
    low = [tf.cast(x, tf.bfloat16) for x in outputs]
    loss = byol_loss(low[:2], low[2:])
    assert loss.dtype == tf.float32
    exact = [tf.cast(x, tf.float64) for x in low]
    np.testing.assert_allclose(loss, byol_loss(exact[:2], exact[2:]), atol=1e-5)
