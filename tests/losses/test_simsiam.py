import numpy as np
import pytest
import tensorflow as tf

from simsiam_tf.losses.simsiam import SIMILARITIES, cross_entropy, negative_cosine, simsiam_loss


@pytest.fixture
def outputs(rng):
    """p1, p2, z1, z2 of 6 images."""
    return [tf.constant(rng.standard_normal((6, 10))) for _ in range(4)]


def loss_of(p1, p2, z1, z2, **kwargs):
    return simsiam_loss((p1, p2), (z2, z1), **kwargs)


def numpy_loss(p1, p2, z1, z2):
    def d(p, z):
        return -np.sum(p * z, 1) / (np.linalg.norm(p, axis=1) * np.linalg.norm(z, axis=1))

    return d(p1, z2) / 2 + d(p2, z1) / 2


def test_value_equals_numpy(outputs):
    np.testing.assert_allclose(loss_of(*outputs), numpy_loss(*(x.numpy() for x in outputs)), atol=1e-14)


def test_is_symmetric_in_the_views(outputs):
    p1, p2, z1, z2 = outputs
    np.testing.assert_allclose(loss_of(p1, p2, z1, z2), loss_of(p2, p1, z2, z1), atol=1e-15)


def test_is_minus_one_for_equal_directions(outputs):
    p, z = outputs[0], 3 * outputs[0]
    np.testing.assert_allclose(loss_of(p, p, z, z), -np.ones(6), atol=1e-14)


@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize("stop_gradient", [True, False])
def test_targets_get_no_gradient_with_stop_gradient_and_some_without(outputs, stop_gradient, similarity):
    with tf.GradientTape() as tape:
        tape.watch(outputs)
        loss = loss_of(*outputs, distance=SIMILARITIES[similarity], stop_gradient=stop_gradient)
    gradients = tape.gradient(loss, outputs, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    to_p, to_z = gradients[:2], gradients[2:]
    assert all(np.abs(g).max() > 1e-3 for g in to_p)
    for g in to_z:
        assert (np.abs(g).max() == 0) == stop_gradient


def test_cross_entropy_equals_numpy(outputs):
    p, z = (x.numpy() for x in outputs[:2])
    soft = [np.exp(x) / np.exp(x).sum(1, keepdims=True) for x in (p, z)]
    expected = -np.sum(soft[1] * np.log(soft[0]), 1)
    np.testing.assert_allclose(cross_entropy(*outputs[:2]), expected, atol=1e-14)
    np.testing.assert_allclose(simsiam_loss(outputs[:1], outputs[1:2], cross_entropy), expected, atol=1e-14)


def test_one_pair_s_loss_is_its_distance(outputs):
    """The asymmetric variant (Sec. 4.6) is not halved; with two pairs it is the mean."""
    p, z = outputs[:2], outputs[2:]
    np.testing.assert_allclose(simsiam_loss(p[:1], z[:1]), negative_cosine(p[0], z[0]), atol=1e-15)
    both = [negative_cosine(p[i], z[i]) for i in range(2)]
    np.testing.assert_allclose(simsiam_loss(p, z), (both[0] + both[1]) / 2, atol=1e-15)


def test_reduced_precision_is_computed_in_float32(outputs):
    p, z = (tf.cast(x, tf.bfloat16) for x in outputs[:2])
    loss = negative_cosine(p, z)
    assert loss.dtype == tf.float32
    np.testing.assert_allclose(loss, negative_cosine(tf.cast(p, tf.float64), tf.cast(z, tf.float64)), atol=1e-6)
