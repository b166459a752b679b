import numpy as np
import pytest
import tensorflow as tf

from simsiam_tf.evaluation.metrics import scaled_std


def test_is_near_one_for_random_directions_and_zero_for_equal_ones(rng):
    z = rng.standard_normal((4096, 32))
    assert float(scaled_std(tf.constant(z))) == pytest.approx(1, abs=0.01)
    assert float(scaled_std(tf.constant(np.tile(z[:1], (64, 1))))) == pytest.approx(0, abs=1e-6)


def test_is_the_biased_std_of_unit_vectors(rng):
    z = rng.standard_normal((10, 4))
    unit = z / np.linalg.norm(z, axis=1, keepdims=True)
    assert float(scaled_std(tf.constant(z))) == pytest.approx(unit.std(0).mean() * 2, abs=1e-12)


def test_two_replicas_see_the_global_batch(rng, two_replicas):
    z = rng.standard_normal((8, 4))
    halves = two_replicas.experimental_distribute_values_from_function(
        lambda c: tf.constant(z[4 * c.replica_id_in_sync_group :][:4])
    )
    values = tf.function(lambda: two_replicas.run(scaled_std, args=(halves,)))()
    for value in two_replicas.experimental_local_results(values):
        assert float(value) == pytest.approx(float(scaled_std(tf.constant(z))), abs=1e-12)
