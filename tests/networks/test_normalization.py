import keras
import numpy as np
import pytest
import tensorflow as tf

from simsiam_tf import resnet18
from simsiam_tf.networks.normalization import BatchNormalization, each_view


def test_moving_variance_is_unbiased_and_momentum_is_the_reference_s(rng):
    x = rng.standard_normal((8, 3)).astype(np.float32)
    layer = BatchNormalization()
    y = layer(x, training=True)
    np.testing.assert_allclose(y, (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-5), atol=1e-5)
    np.testing.assert_allclose(layer.moving_mean, 0.1 * x.mean(0), atol=1e-6)
    np.testing.assert_allclose(layer.moving_variance, 0.9 + 0.1 * x.var(0, ddof=1), atol=1e-6)


@pytest.mark.parametrize("shape", [(16, 5), (4, 6, 6, 5)])
@pytest.mark.parametrize("affine", [True, False])
def test_fused_and_synchronised_agree(rng, shape, affine):
    x = tf.constant(rng.standard_normal(shape) * 2 + 1, tf.float32)
    results = []
    for way, arguments in (("_fused", ()), ("_synchronized", (1,))):
        layer = BatchNormalization(affine)
        layer.build(shape)
        if affine:
            layer.gamma.assign(np.linspace(0.5, 2, 5))
            layer.beta.assign(np.linspace(-1, 1, 5))
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = getattr(layer, way)(x, *arguments)
            loss = tf.reduce_sum(y * tf.cos(x))
        gradients = tape.gradient(loss, [x, *(v.value for v in layer.trainable_variables)])
        results.append([y, *gradients, layer.moving_mean, layer.moving_variance])
    for fused, synchronized in zip(*results, strict=True):
        np.testing.assert_allclose(fused, synchronized, atol=2e-4)


def test_two_replicas_normalise_by_the_global_batch(rng, two_replicas, float64):
    x = rng.standard_normal((8, 3)) * np.arange(1, 4) + 5
    with two_replicas.scope():
        layer = BatchNormalization()
        layer.build((None, 3))
    halves = two_replicas.experimental_distribute_values_from_function(
        lambda context: tf.constant(x[4 * context.replica_id_in_sync_group :][:4])
    )
    y = tf.function(lambda: two_replicas.run(layer, args=(halves,), kwargs={"training": True}))()
    y = np.concatenate([part.numpy() for part in two_replicas.experimental_local_results(y)])
    np.testing.assert_allclose(y, (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-5), atol=1e-12)
    np.testing.assert_allclose(layer.moving_variance.numpy(), 0.9 + 0.1 * x.var(0, ddof=1), atol=1e-12)


def run_on_both(two_replicas, function, *whole):
    """Runs a function on both replicas, each with its half of the arguments; what each returned."""

    def half(x):
        n = len(x) // 2
        return two_replicas.experimental_distribute_values_from_function(
            lambda context: tf.constant(x[n * context.replica_id_in_sync_group :][:n])
        )

    results = tf.function(lambda: two_replicas.run(function, args=tuple(map(half, whole))), autograph=False)()
    return [two_replicas.experimental_local_results(r) for r in tf.nest.flatten(results)]


@pytest.mark.slow
def test_both_views_in_one_pass_are_the_two_passes(rng, two_replicas, float64):
    """Outputs, gradients, and moving statistics that the first view moves before the second."""
    x1, x2 = rng.standard_normal((8, 8, 8, 3)), 3 + rng.standard_normal((8, 8, 8, 3))

    def make():
        keras.utils.set_random_seed(0)
        return resnet18(cifar_stem=True, width=0.0625)

    def outputs_and_gradients(network, x1, x2, share=1):
        with tf.GradientTape() as tape:
            y1, y2 = each_view(network, (x1, x2), training=True)
            loss = tf.reduce_mean(tf.sin(3 * y1) * tf.cos(y2)) / share
        return y1, y2, *tape.gradient(loss, network.trainable_variables)

    alone = make()
    expected = outputs_and_gradients(alone, tf.constant(x1), tf.constant(x2))
    with two_replicas.scope():
        shared = make()
    found = run_on_both(two_replicas, lambda a, b: outputs_and_gradients(shared, a, b, 2), x1, x2)
    for whole, parts in zip(expected[:2], found[:2], strict=True):
        np.testing.assert_allclose(np.concatenate(parts), whole, atol=1e-12)
    for whole, parts in zip(expected[2:], found[2:], strict=True):
        np.testing.assert_allclose(sum(part.numpy() for part in parts), whole, atol=1e-12)
    for ours, theirs in zip(alone.non_trainable_variables, shared.non_trainable_variables, strict=True):
        np.testing.assert_allclose(ours.numpy(), theirs.numpy(), atol=1e-12, err_msg=ours.path)


def all_reduces(two_replicas, monkeypatch, network, views):
    """All-reduces that one replica takes part in, forward and backward."""
    context, counted = tf.distribute.ReplicaContext, []
    real = context.all_reduce
    monkeypatch.setattr(context, "all_reduce", lambda *a, **k: counted.append(1) or real(*a, **k))

    def step(x1, x2):
        with tf.GradientTape() as tape:
            y1, y2 = each_view(network, (x1, x2), training=True)
            loss = tf.reduce_sum(y1 * y2)
        return tape.gradient(loss, network.trainable_variables)

    run_on_both(two_replicas, step, *views)
    return len(counted) // 2


@pytest.mark.slow
def test_a_layer_sends_one_all_reduce_each_way_for_both_views(rng, two_replicas, monkeypatch):
    views = rng.standard_normal((2, 8, 8, 8, 3)).astype(np.float32)
    with two_replicas.scope():
        network = resnet18(cifar_stem=True, width=0.0625)
    layers = sum(isinstance(layer, BatchNormalization) for layer in network._flatten_layers())
    assert all_reduces(two_replicas, monkeypatch, network, views) == 2 * layers


def test_a_stranger_s_batch_norm_sees_one_view_at_a_time(rng, two_replicas, float64):
    with two_replicas.scope():
        inputs = keras.Input((3,))
        network = keras.Model(inputs, keras.layers.BatchNormalization(momentum=0.0, synchronized=True)(inputs))
    x1, x2 = rng.standard_normal((8, 3)), 5 + rng.standard_normal((8, 3))
    run_on_both(two_replicas, lambda a, b: each_view(network, (a, b), training=True), x1, x2)
    np.testing.assert_allclose(network.layers[1].moving_mean.numpy(), x2.mean(0), atol=1e-12)


class OwnNorm(keras.layers.Layer):
    """A batch norm that knows nothing of replicas."""

    def build(self, input_shape):
        self.moving_mean = self.add_weight(shape=input_shape[-1:], trainable=False)

    def call(self, x, training=False):
        return x - tf.reduce_mean(x, axis=0)


def test_a_batch_norm_that_cannot_be_synchronised_is_named_once(rng, two_replicas, caplog):
    with two_replicas.scope():
        inputs = keras.Input((3,))
        network = keras.Model(inputs, OwnNorm(name="mine")(inputs))
    views = rng.standard_normal((2, 8, 3)).astype(np.float32)
    for _ in range(2):
        run_on_both(two_replicas, lambda a, b: each_view(network, (a, b), training=True), *views)
    assert [r.getMessage()[:60] for r in caplog.records if r.name.startswith("simsiam_tf")] == [
        "The layer 'mine' is a batch norm from outside Keras: each of"
    ]


def test_a_mean_far_from_zero_costs_no_digits_of_the_variance(rng, two_replicas):
    """Float32, mean 1000 and deviation 1: as E[x^2] - E[x]^2 it would be off by several percent."""
    x = (1000 + rng.standard_normal((64, 3))).astype(np.float32)
    with two_replicas.scope():
        layer = BatchNormalization()
        layer.build((None, 3))
    layer.moving_mean.assign(np.full(3, 1000.5, np.float32))
    (halves,) = run_on_both(two_replicas, lambda part: layer(part, training=True), x)
    expected = (x - x.mean(0, dtype=np.float64)) / np.sqrt(x.var(0, dtype=np.float64) + 1e-5)
    np.testing.assert_allclose(np.concatenate(halves), expected, atol=2e-3)
