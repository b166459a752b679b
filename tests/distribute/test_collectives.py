import keras
import numpy as np
import tensorflow as tf

from simsiam_tf.distribute import collectives


def on_both(two_replicas, function, rows):
    """Runs a function on both replicas, each with its row; returns what each gives."""
    values = two_replicas.experimental_distribute_values_from_function(
        lambda context: tf.constant(rows[context.replica_id_in_sync_group])
    )
    results = tf.function(lambda: two_replicas.run(function, args=(values,)), autograph=False)()
    return [part.numpy() for part in two_replicas.experimental_local_results(results)]


def test_one_replica_is_the_identity():
    x = tf.constant([[1.0, 2.0]])
    assert collectives.num_replicas() == 1
    assert collectives.replica_id() == 0
    assert all(f(x) is x for f in (collectives.all_reduce_sum, collectives.all_reduce_mean, collectives.all_gather))


def test_two_replicas_add_average_and_gather(two_replicas):
    rows = np.float64([[[1, 2]], [[5, 8]]])
    for function, expected in (
        (collectives.all_reduce_sum, rows.sum(0)),
        (collectives.all_reduce_mean, rows.mean(0)),
        (collectives.all_gather, rows[:, 0]),
    ):
        for found in on_both(two_replicas, function, rows):
            np.testing.assert_array_equal(found, expected)


def test_gathering_has_a_gradient(two_replicas):
    """d/dx of the sum of w . gather(x) over both replicas is 2 w at the place of x."""
    weights = np.float64([[2, 3], [4, 5]])

    def gradient(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = tf.reduce_sum(collectives.all_gather(x) * weights)
        return tape.gradient(loss, x)

    np.testing.assert_array_equal(on_both(two_replicas, gradient, np.ones((2, 1, 2))), 2 * weights[:, np.newaxis])


def test_update_each_assigns_on_every_replica(two_replicas):
    with two_replicas.scope():
        moved, other = keras.Variable([1.0, 2.0]), keras.Variable([10.0, 20.0])

    def step(_):
        collectives.update_each(lambda v, by, w: v.assign(v + by * w), [moved], [other], value=0.5)
        return tf.constant(0.0)

    on_both(two_replicas, step, np.zeros(2))
    for part in two_replicas.experimental_local_results(moved.value):
        np.testing.assert_array_equal(part, [6.0, 12.0])
