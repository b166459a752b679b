import numpy as np
import pytest
import tensorflow as tf

from simsiam_tf.losses.mocov2 import info_nce, mocov2_loss


def unit(x):
    return x / np.linalg.norm(x, axis=1, keepdims=True)


@pytest.fixture
def outputs(rng):
    """q and k of 4 images, and a queue of 6 keys of length 1."""
    q, k = (tf.constant(rng.standard_normal((4, 8))) for _ in range(2))
    return q, k, tf.constant(unit(rng.standard_normal((6, 8))))


def numpy_info_nce(q, k, queue, temperature):
    q, k = unit(q), unit(k)
    positive = np.exp(np.sum(q * k, axis=1) / temperature)
    return -np.log(positive / (positive + np.exp(q @ queue.T / temperature).sum(axis=1)))


@pytest.mark.parametrize("temperature", [0.2, 0.07])
def test_value_equals_numpy(outputs, temperature):
    expected = numpy_info_nce(*(x.numpy() for x in outputs), temperature)
    np.testing.assert_allclose(info_nce(*outputs, temperature), expected, atol=1e-12)


def test_of_a_key_that_is_as_near_as_all_others_is_the_logarithm_of_their_number():
    same = tf.ones([3, 4], tf.float64)
    queue = tf.fill([7, 4], tf.constant(0.5, tf.float64))
    np.testing.assert_allclose(info_nce(same, same, queue), np.full(3, np.log(8)))


def test_of_a_random_guess_is_what_the_authors_say():
    """The logarithm of the queue's 65,536 keys, 11.09: facebookresearch/moco, issue 12."""
    same = tf.ones([2, 4], tf.float64)
    queue = tf.fill([65536, 4], tf.constant(0.5, tf.float64))
    np.testing.assert_allclose(info_nce(same, same, queue), np.full(2, 11.09), atol=5e-3)


def test_each_view_meets_the_other_s_key(outputs, rng):
    q, k, queue = outputs
    q2, k2 = (tf.constant(rng.standard_normal((4, 8))) for _ in range(2))
    expected = (info_nce(q, k2, queue) + info_nce(q2, k, queue)) / 2
    np.testing.assert_allclose(mocov2_loss((q, q2), (k, k2), queue), expected, atol=1e-14)


def test_gradient_equals_finite_differences_and_leaves_keys_alone(outputs):
    with tf.GradientTape() as tape:
        tape.watch(outputs)
        loss = tf.reduce_sum(info_nce(*outputs))
    to_q, to_k, to_queue = tape.gradient(loss, outputs, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    q, k, queue = (x.numpy() for x in outputs)
    for at in ((0, 0), (3, 7)):
        moved = []
        for step in (1e-6, -1e-6):
            shifted = q.copy()
            shifted[at] += step
            moved.append(numpy_info_nce(shifted, k, queue, 0.2).sum())
        np.testing.assert_allclose(to_q.numpy()[at], (moved[0] - moved[1]) / 2e-6, atol=1e-8)
    assert np.abs(to_k).max() == np.abs(to_queue).max() == 0


def test_reduced_precision_is_computed_in_float32(outputs):
    q, k = (tf.cast(x, tf.bfloat16) for x in outputs[:2])
    queue = tf.cast(outputs[2], tf.float32)
    loss = info_nce(q, k, queue)
    assert loss.dtype == tf.float32
    exact = [tf.cast(x, tf.float64) for x in (q, k, queue)]
    np.testing.assert_allclose(loss, info_nce(*exact), atol=1e-5)
