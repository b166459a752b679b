import numpy as np
import pytest
import tensorflow as tf

from simsiam_tf.errors import UsageError
from simsiam_tf.features import metrics
from simsiam_tf.methods.collapse import scaled_std, spread


def test_is_near_one_for_random_directions_and_zero_for_equal_ones(rng):
    z = rng.standard_normal((4096, 32))
    assert float(scaled_std(tf.constant(z))) == pytest.approx(1, abs=0.01)
    assert float(scaled_std(tf.constant(np.tile(z[:1], (64, 1))))) == pytest.approx(0, abs=1e-6)


def test_is_the_biased_std_of_unit_vectors(rng):
    z = rng.standard_normal((10, 4))
    unit = z / np.linalg.norm(z, axis=1, keepdims=True)
    assert float(scaled_std(tf.constant(z))) == pytest.approx(unit.std(0).mean() * 2, abs=1e-12)


@pytest.mark.parametrize("d", [8, 200])
def test_the_rank_counts_directions(rng, d):
    basis = np.linalg.qr(rng.standard_normal((d, 8)))[0]
    for directions in (1, 2, 8):
        along = rng.standard_normal((4096, directions)) @ basis[:, :directions].T
        found = spread(tf.constant(along))
        assert float(found.rank) == pytest.approx(directions, rel=0.2)  # 64 dimensions show 8 as about 7
        assert float(found.mean_length) < 0.1
    near_a_point = spread(tf.constant(basis[:, 0] + 0.01 * rng.standard_normal((4096, d))))
    assert float(near_a_point.mean_length) == pytest.approx(1, abs=0.02)
    assert float(near_a_point.std) < 0.2


def test_the_length_of_the_mean_is_that_of_unit_vectors(rng):
    x = rng.standard_normal((50, 5)) + 1
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    assert float(spread(tf.constant(x)).mean_length) == pytest.approx(np.linalg.norm(unit.mean(0)), abs=1e-12)


def test_two_replicas_see_the_global_batch(rng, two_replicas):
    z = rng.standard_normal((8, 4))
    halves = two_replicas.experimental_distribute_values_from_function(
        lambda c: tf.constant(z[4 * c.replica_id_in_sync_group :][:4])
    )
    values = tf.function(lambda: two_replicas.run(spread, args=(halves,)))()
    for found, expected in zip(values, spread(tf.constant(z)), strict=True):
        for value in two_replicas.experimental_local_results(found):
            assert float(value) == pytest.approx(float(expected), abs=1e-12)


def test_alignment_is_the_squared_distance_of_directions(rng):
    x, y = rng.standard_normal((2, 20, 6))
    assert metrics.alignment(x, 3 * x) == pytest.approx(0, abs=1e-12)
    assert metrics.alignment(x, -x) == pytest.approx(4)
    unit = [a / np.linalg.norm(a, axis=1, keepdims=True) for a in (x, y)]
    assert metrics.alignment(x, y) == pytest.approx(np.mean(np.linalg.norm(unit[0] - unit[1], axis=1) ** 2))


def test_uniformity_is_over_all_pairs_of_different_images(rng, monkeypatch):
    monkeypatch.setattr(metrics, "_PAIRS_CHUNK", 7)
    x = rng.standard_normal((30, 5))
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    pairs = [np.exp(-2 * np.sum((unit[i] - unit[j]) ** 2)) for i in range(30) for j in range(30) if i != j]
    assert metrics.uniformity(x) == pytest.approx(np.log(np.mean(pairs)), abs=1e-6)
    assert metrics.uniformity(np.tile(x[:1], (10, 1))) == pytest.approx(0, abs=1e-6)


def test_spectrum_is_that_of_the_centred_matrix(rng):
    x = rng.standard_normal((50, 8)) * np.arange(1, 9) + 100
    expected = np.linalg.svd(x - x.mean(0), compute_uv=False) / np.sqrt(50)
    np.testing.assert_allclose(metrics.spectrum(x), expected, rtol=1e-6)


def test_effective_rank_counts_the_directions_that_matter():
    assert metrics.effective_rank(np.ones(7)) == pytest.approx(7)
    assert metrics.effective_rank(np.array([3.0, 0.0, 0.0])) == pytest.approx(1)
    assert metrics.effective_rank(np.zeros(3)) == 0
    shares = np.array([0.5, 0.3, 0.2])
    assert metrics.effective_rank(10 * shares) == pytest.approx(np.exp(-np.sum(shares * np.log(shares))))


def test_dead_channels_say_nothing(rng):
    x = rng.standard_normal((40, 6))
    assert metrics.dead_channels(x) == 0
    x[:, 2] = 5.0
    x[:, 4] = 1e-7 * x[:, 0]
    assert metrics.dead_channels(x) == 2
    assert metrics.dead_channels(np.zeros((4, 3))) == 3


def test_ties_never_help():
    scores = np.array([[1, 1, 0], [2, 1, 0], [-np.inf, 0, 0], [0, 3, 3]], np.float32)
    assert metrics.top_k_hits(scores, np.array([0, 0, 0, 1]), 1).numpy().tolist() == [False, True, False, False]
    assert metrics.top_k_hits(scores, np.array([0, 0, 0, 1]), 2).numpy().tolist() == [True, True, False, True]
    assert metrics.top_k_hits(scores, np.array([2, 2, 0, 0]), 3).numpy().tolist() == [True, True, False, True]


def test_hits_are_those_counted_one_by_one(rng):
    scores, labels = rng.integers(0, 6, (200, 8)).astype(np.float32), rng.integers(0, 8, 200)
    for k in range(1, 9):
        hits = 0
        for row, label in zip(scores.tolist(), labels.tolist(), strict=True):
            ahead = 0
            for other, score in enumerate(row):
                ahead += other != label and score >= row[label]
            hits += ahead < k
        assert metrics.count_hits(scores, labels, (k,)) == [hits]


def test_scores_that_are_no_numbers_are_never_right():
    scores = np.array([[np.nan, 0.0], [0.0, np.nan]], np.float32)
    assert not metrics.top_k_hits(scores, np.array([0, 0]), 2).numpy().any()
    with pytest.raises(FloatingPointError, match="not a number"):
        metrics.count_hits(scores, np.array([0, 0]))


def test_what_needs_images_says_so():
    with pytest.raises(UsageError, match=r"at least one readable image.*Received: none"):
        metrics.percent(np.zeros(2), 0)
    with pytest.raises(UsageError, match=r"at least two of them. Received: 1"):
        metrics.uniformity(np.ones((1, 3), np.float32))
