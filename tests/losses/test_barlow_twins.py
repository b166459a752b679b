import numpy as np
import pytest
import tensorflow as tf

from simsiam_tf.losses.barlow_twins import barlow_twins_loss


@pytest.fixture
def z(rng):
    """z1, z2 of 8 images, each channel of mean 0 and variance 1."""
    views = [rng.standard_normal((8, 5)) for _ in range(2)]
    return [(x - x.mean(0)) / x.std(0) for x in views]


def numpy_loss(z1, z2, weight):
    c, loss = z1.T @ z2 / len(z1), 0.0
    for (i, j), value in np.ndenumerate(c):
        loss += (1 - value) ** 2 if i == j else weight * value**2
    return loss


def test_value_equals_numpy(z):
    np.testing.assert_allclose(barlow_twins_loss(*z, 0.3), numpy_loss(*z, 0.3), atol=1e-12)


def test_is_zero_for_equal_views_of_uncorrelated_channels():
    z = tf.constant([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
    assert float(barlow_twins_loss(z, z)) == 0.0


def test_gradient_equals_finite_differences(z):
    z1, z2 = (tf.constant(x) for x in z)
    with tf.GradientTape() as tape:
        tape.watch([z1, z2])
        loss = barlow_twins_loss(z1, z2, 0.3)
    for view, gradient in enumerate(tape.gradient(loss, [z1, z2])):
        step = [np.zeros_like(x) for x in z]
        step[view][3, 2] = 1e-6
        up, down = (numpy_loss(*(x + sign * s for x, s in zip(z, step, strict=True)), 0.3) for sign in (1, -1))
        assert float(gradient[3, 2]) == pytest.approx((up - down) / 2e-6, abs=1e-7)


def test_reduced_precision_is_computed_in_float32(z):
    low = [tf.cast(x, tf.bfloat16) for x in z]
    loss = barlow_twins_loss(*low)
    assert loss.dtype == tf.float32
    np.testing.assert_allclose(loss, barlow_twins_loss(*(tf.cast(x, tf.float64) for x in low)), rtol=1e-5)
