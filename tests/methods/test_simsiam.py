import keras
import numpy as np
import pytest
import tensorflow as tf

from simsiam_tf import SGD, SimSiam
from simsiam_tf.losses.simsiam import simsiam_loss
from tests.methods.test_methods import make, make_views


def test_the_loss_is_equation_4_on_the_heads_outputs(rng):
    model, (x1, x2) = make("simsiam"), make_views(rng)
    loss, logs = model.compute_ssl_loss({"views": (x1, x2)}, training=True)
    z1, z2 = model.encode((x1, x2), True)
    p1, p2 = model.predictor(z1, training=True), model.predictor(z2, training=True)
    np.testing.assert_allclose(loss, tf.reduce_mean(simsiam_loss(p1, p2, z1, z2)), atol=1e-6)
    assert 0 < float(logs["z_std_scaled"]) < 1.2


def test_batch_statistics_are_per_view(rng):
    """Views of different brightness: statistics over both together would give other moving means."""
    model, (x1, x2) = make("simsiam"), make_views(rng)
    model.compute_ssl_loss({"views": (x1, x2 + 3)}, training=True)
    norm, conv = model.backbone.stem_norm, model.backbone.stem_conv
    mean1, mean2 = (tf.reduce_mean(conv(x), [0, 1, 2]) for x in (x1, x2 + 3))
    np.testing.assert_allclose(norm.moving_mean, 0.9 * 0.1 * mean1 + 0.1 * mean2, atol=1e-5)


@pytest.mark.parametrize("stop_gradient", [True, False])
def test_without_stop_gradient_the_weights_get_another_gradient(rng, stop_gradient):
    model, views = make("simsiam", stop_gradient=stop_gradient), make_views(rng)
    with tf.GradientTape() as tape:
        loss, _ = model.compute_ssl_loss({"views": views}, training=True)
    gradient = tape.gradient(loss, model.projector.dense[-1].kernel.value)
    reference = make("simsiam")
    with tf.GradientTape() as tape:
        loss, _ = reference.compute_ssl_loss({"views": views}, training=True)
    same = np.allclose(gradient, tape.gradient(loss, reference.projector.dense[-1].kernel.value), atol=1e-6)
    assert same == stop_gradient


def test_a_user_s_own_model_is_a_backbone(rng):
    inputs = keras.Input((16, 16, 3))
    x = keras.layers.Conv2D(8, 3, strides=2, activation="relu")(inputs)
    own = keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(x))
    model = SimSiam(own, projector_dim=16, projector_layers=2, predictor_dim=4)
    model.compile(SGD(0.05))
    before = own.layers[1].kernel.numpy()
    model.fit(tf.data.Dataset.from_tensors(make_views(rng)), verbose=0)
    assert np.abs(own.layers[1].kernel.numpy() - before).max() > 0
