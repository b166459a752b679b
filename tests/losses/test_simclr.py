import numpy as np
import pytest
import tensorflow as tf

from simsiam_tf.losses.simclr import nt_xent


@pytest.fixture
def z(rng):
    """z1, z2 of 5 images."""
    return [tf.constant(rng.standard_normal((5, 7))) for _ in range(2)]


def numpy_nt_xent(z1, z2, temperature):
    """SimCLR's Eq. 1 written out pair by pair, of each image."""
    z = np.concatenate([z1, z2])
    z /= np.linalg.norm(z, axis=1, keepdims=True)
    n, losses = len(z1), []
    for i in range(2 * n):
        j = (i + n) % (2 * n)
        others = sum(np.exp(z[i] @ z[k] / temperature) for k in range(2 * n) if k != i)
        losses.append(-np.log(np.exp(z[i] @ z[j] / temperature) / others))
    return (np.array(losses[:n]) + np.array(losses[n:])) / 2


@pytest.mark.parametrize("temperature", [0.1, 0.5])
def test_value_equals_numpy(z, temperature):
    expected = numpy_nt_xent(*(x.numpy() for x in z), temperature)
    np.testing.assert_allclose(nt_xent(z, z, temperature), expected, atol=1e-12)


def test_of_one_image_alone_is_zero(z):
    one = [x[:1] for x in z]
    np.testing.assert_allclose(nt_xent(one, one), [0.0], atol=1e-12)


def test_of_equal_outputs_is_the_logarithm_of_their_number(z):
    """No candidate is nearer than another: 2 B - 1 of them."""
    same = [tf.ones([5, 7], tf.float64)] * 2
    np.testing.assert_allclose(nt_xent(same, same), np.full(5, np.log(9)), atol=1e-12)


def test_is_symmetric_in_the_views(z):
    np.testing.assert_allclose(nt_xent(z, z), nt_xent(z[::-1], z[::-1]), atol=1e-13)


def test_a_part_of_the_anchors_has_its_part_of_the_losses(z):
    part = [x[2:4] for x in z]
    np.testing.assert_allclose(nt_xent(part, z, first=2), nt_xent(z, z)[2:4], atol=1e-13)


def test_gradient_equals_finite_differences(z):
    """Through anchors and keys at once, as SimCLR has it."""
    with tf.GradientTape() as tape:
        tape.watch(z)
        loss = tf.reduce_mean(nt_xent(z, z, 0.5))
    gradients, step = tape.gradient(loss, z), 1e-6
    for view, gradient in enumerate(gradients):
        for at in ((0, 0), (3, 5)):
            values = [x.numpy() for x in z]
            moved = []
            for sign in (1, -1):
                values[view][at] += sign * step
                moved.append(numpy_nt_xent(*(v.copy() for v in values), 0.5).mean())
                values[view][at] -= sign * step
            np.testing.assert_allclose(gradient.numpy()[at], (moved[0] - moved[1]) / (2 * step), atol=1e-8)


def test_gradient_is_that_of_simclr_s_table_2(z):
    """(1 - exp(u . v+ / T) / Z) / T v+ - sum exp(u . v- / T) / Z / T v-, of an anchor u that has length 1.

    Ours divides by the length within the loss, which takes away what would change the length.
    """
    temperature, u = 0.5, tf.math.l2_normalize(z[0][:1], axis=1)
    keys = [tf.math.l2_normalize(tf.concat([u, z[0][1:]], axis=0), axis=1), tf.math.l2_normalize(z[1], axis=1)]
    with tf.GradientTape() as tape:
        tape.watch(u)
        # The other view's anchor is a constant, and its keys are: what is left is u's own half.
        loss = 2 * nt_xent([u, tf.constant(z[1][:1])], keys, temperature, stop_gradient=True)
    positive, negatives = keys[1][0].numpy(), np.concatenate([keys[0][1:], keys[1][1:]])
    exponentials = np.exp(np.concatenate([[positive], negatives]) @ u.numpy()[0] / temperature)
    share = exponentials / exponentials.sum()
    of_table = (1 - share[0]) / temperature * positive - share[1:] / temperature @ negatives
    of_table -= (of_table @ u.numpy()[0]) * u.numpy()[0]
    np.testing.assert_allclose(tape.gradient(loss, u)[0], -of_table, atol=1e-12)
    assert np.abs(of_table).max() > 0.1


@pytest.mark.parametrize("stop_gradient", [True, False])
def test_keys_get_no_gradient_with_stop_gradient_and_some_without(z, rng, stop_gradient):
    anchors = [tf.constant(rng.standard_normal((5, 7))) for _ in range(2)]
    with tf.GradientTape() as tape:
        tape.watch([anchors, z])
        loss = nt_xent(anchors, z, stop_gradient=stop_gradient)
    to_anchors, to_keys = tape.gradient(loss, [anchors, z], unconnected_gradients=tf.UnconnectedGradients.ZERO)
    assert all(np.abs(g).max() > 1e-3 for g in to_anchors)
    assert all((np.abs(g).max() == 0) == stop_gradient for g in to_keys)


def test_reduced_precision_is_computed_in_float32(z):
    low = [tf.cast(x, tf.bfloat16) for x in z]
    loss = nt_xent(low, low)
    assert loss.dtype == tf.float32
    exact = [tf.cast(x, tf.float64) for x in low]
    np.testing.assert_allclose(loss, nt_xent(exact, exact), atol=1e-4)
