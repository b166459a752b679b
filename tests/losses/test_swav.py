import numpy as np
import pytest
import tensorflow as tf

from simsiam_tf.losses.swav import sinkhorn, swapped_prediction


def cosines(rng, rows, prototypes=4, d=6):
    z, c = (rng.standard_normal((n, d)) for n in (rows, prototypes))
    z, c = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (z, c))
    return z @ c.T


def numpy_sinkhorn(scores, epsilon, iterations):
    """SwAV's listing: Q is prototypes by images, and ends with columns that add up to 1."""
    q = np.exp(scores / epsilon).T
    q /= q.sum()
    k, b = q.shape
    for _ in range(iterations):
        q /= q.sum(axis=1, keepdims=True) * k
        q /= q.sum(axis=0, keepdims=True) * b
    return (q * b).T


@pytest.mark.parametrize("iterations", [1, 3])
def test_codes_equal_numpy(rng, iterations):
    scores = cosines(rng, 10)
    expected = numpy_sinkhorn(scores, 0.05, iterations)
    np.testing.assert_allclose(sinkhorn(tf.constant(scores), 0.05, iterations), expected, atol=1e-13)


def test_codes_share_the_images_out_evenly_in_the_end(rng):
    codes = sinkhorn(tf.constant(cosines(rng, 12)), 0.5, iterations=200).numpy()
    np.testing.assert_allclose(codes.sum(axis=1), np.ones(12), atol=1e-12)
    np.testing.assert_allclose(codes.sum(axis=0), np.full(4, 3.0), atol=1e-9)


def test_images_that_take_no_part_change_nothing(rng):
    scores = tf.constant(cosines(rng, 9))
    weights = tf.constant([1.0] * 6 + [0.0] * 3, tf.float64)
    codes = sinkhorn(scores, weights=weights)
    np.testing.assert_allclose(codes[:6], sinkhorn(scores[:6]), atol=1e-13)
    assert np.all(codes[6:] == 0)


def test_codes_are_finite_in_float32_where_all_is_alike_or_opposite():
    scores = tf.constant([[1.0, -1.0], [1.0, -1.0], [-1.0, -1.0]])
    assert np.isfinite(sinkhorn(scores, 0.05)).all()


def test_loss_equals_numpy_and_swaps(rng):
    scores = [cosines(rng, 5) for _ in range(2)]
    codes = [numpy_sinkhorn(s, 0.05, 3) for s in scores]
    logs = [s / 0.1 - np.log(np.exp(s / 0.1).sum(axis=1, keepdims=True)) for s in scores]
    expected = -(np.sum(codes[0] * logs[1], axis=1) + np.sum(codes[1] * logs[0], axis=1)) / 2
    tensors = [[tf.constant(x) for x in group] for group in (scores, codes)]
    np.testing.assert_allclose(swapped_prediction(*tensors, 0.1), expected, atol=1e-13)


def test_where_nothing_is_told_apart_it_is_what_the_release_begins_with():
    """8.006, the logarithm of its 3,000 prototypes; authors and users in facebookresearch/swav, issues 12 and 120."""
    scores = [tf.zeros([4, 3000], tf.float64)] * 2
    codes = [sinkhorn(s) for s in scores]
    np.testing.assert_allclose(swapped_prediction(scores, codes), np.full(4, 8.006), atol=5e-4)


def test_small_views_predict_every_large_one_and_have_no_code(rng):
    scores = [tf.constant(cosines(rng, 5)) for _ in range(3)]
    codes = [sinkhorn(s) for s in scores[:2]]
    pairs = [(1, 0), (2, 0), (0, 1), (2, 1)]  # of view and code
    expected = [swapped_prediction([scores[view], scores[view]], [codes[code], codes[code]]) for view, code in pairs]
    np.testing.assert_allclose(swapped_prediction(scores, codes), sum(expected) / 4, atol=1e-13)


@pytest.mark.parametrize("stop_gradient", [True, False])
def test_gradient_equals_finite_differences(rng, stop_gradient):
    """Through the codes too, if they are no constants."""
    first, second = cosines(rng, 5), cosines(rng, 5)

    def loss(a, fixed=None):
        codes = [sinkhorn(fixed if stop_gradient and fixed is not None else a), sinkhorn(tf.constant(second))]
        return tf.reduce_sum(swapped_prediction([a, tf.constant(second)], codes, 0.1, stop_gradient))

    a = tf.constant(first)
    with tf.GradientTape() as tape:
        tape.watch(a)
        value = loss(a)
    gradient, step = tape.gradient(value, a).numpy(), np.zeros_like(first)
    step[2, 1] = 1e-6
    moved = float(loss(tf.constant(first + step), a) - loss(tf.constant(first - step), a)) / 2e-6
    assert gradient[2, 1] == pytest.approx(moved, abs=1e-7)
    assert abs(moved) > 1e-3
