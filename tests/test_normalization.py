import numpy as np
import pytest
import tensorflow as tf

from simsiam_tf.normalization import BatchNormalization


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
    for way in ("_fused", "_synchronized"):
        layer = BatchNormalization(affine)
        layer.build(shape)
        if affine:
            layer.gamma.assign(np.linspace(0.5, 2, 5))
            layer.beta.assign(np.linspace(-1, 1, 5))
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = getattr(layer, way)(x)
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
