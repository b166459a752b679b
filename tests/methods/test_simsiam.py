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
    np.testing.assert_allclose(loss, tf.reduce_mean(simsiam_loss((p1, p2), (z2, z1))), atol=1e-6)
    assert 0 < float(logs["z_std_scaled"]) < 1.2


def test_batch_statistics_are_per_view(rng):
    """Views of different brightness: statistics over both together would give other moving means."""
    model, (x1, x2) = make("simsiam"), make_views(rng)
    model.compute_ssl_loss({"views": (x1, x2 + 3)}, training=True)
    norm, conv = (model.backbone.get_layer(name) for name in ("bn1", "conv1"))
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


def one_step(rng, views=2, **kwargs):
    """A variant's loss, and the gradients of all weights by path, at the initial weights that all share."""
    model = make("simsiam", **kwargs)
    x = make_views(rng)
    batch = {"views": (x + make_views(rng))[:views], "index": tf.range(16, dtype=tf.int64)}
    with tf.GradientTape() as tape:
        loss, _ = model.compute_ssl_loss(batch, training=True)
    variables = model.trainable_variables
    return (
        model,
        batch,
        float(loss),
        dict(zip([v.path for v in variables], tape.gradient(loss, variables), strict=True)),
    )


def test_the_identity_predicts_z_itself(rng):
    model, batch, loss, gradients = one_step(rng, predictor="identity")
    z1, z2 = model.encode(batch["views"], training=True)
    assert loss == pytest.approx(float(tf.reduce_mean(simsiam_loss((z1, z2), (z2, z1)))), abs=1e-6)
    assert not any("predictor" in path for path in gradients)


def test_a_fixed_predictor_is_the_initial_one_and_gets_no_update(rng):
    model, batch, loss, gradients = one_step(rng, predictor="fixed")
    assert loss == pytest.approx(one_step(np.random.default_rng(0))[2], abs=1e-6)
    assert not any("predictor" in path for path in gradients)
    before = [v.numpy() for v in model.predictor.weights]
    model.train_step(batch)
    moved = [np.any(v.numpy() != b) for v, b in zip(model.predictor.weights, before, strict=True)]
    assert sum(moved) == 2  # its batch norm's moving statistics, which say how it is applied


@pytest.mark.parametrize("similarity", ["cosine", "cross_entropy"])
def test_asymmetric_losses_are_those_of_their_pairs(rng, similarity):
    model, batch, loss, gradients = one_step(rng, 4, symmetry="asymmetric_2x", similarity=similarity)
    z = model.encode(batch["views"], training=True)
    p = [model.predictor(z[i], training=True) for i in (0, 2)]
    d = [float(tf.reduce_mean(model.distance(*pair))) for pair in zip(p, (z[1], z[3]), strict=True)]
    assert loss == pytest.approx(sum(d) / 2, abs=1e-5)
    assert all(gradient is not None for gradient in gradients.values())
    alone = one_step(np.random.default_rng(0), 2, symmetry="asymmetric", similarity=similarity)[2]
    assert alone == pytest.approx(d[0], abs=1e-5)


def test_prepared_targets_are_z_of_each_step_s_own_pair_before_the_turn(rng):
    """The second of two steps is compared with z of the weights before the first; moving statistics stay out of it."""
    model, order = make("simsiam", alternation_steps=2), range(2)
    model.targets.make_table(model.targets.table_shape(1000, 16, 32))
    batches = [{"views": make_views(rng), "position": tf.range(16 * i, 16 * i + 16, dtype=tf.int64)} for i in order]
    moving = [v.numpy() for v in model.non_trainable_variables]
    for batch in batches:
        model.targets.precompute(model, batch)
    for variable, before in zip(model.non_trainable_variables, moving, strict=True):
        np.testing.assert_array_equal(variable.numpy(), before, err_msg=variable.path)
    eta1, eta2 = make("simsiam").encode(batches[1]["views"], training=True)
    model.train_step(batches[0])
    z1, z2 = model.encode(batches[1]["views"], training=True)
    p1, p2 = model.predictor(z1, training=True), model.predictor(z2, training=True)
    loss, _ = model.compute_ssl_loss(batches[1], training=True)
    assert float(loss) == pytest.approx(float(tf.reduce_mean(simsiam_loss((p1, p2), (eta2, eta1)))), abs=1e-5)
    assert abs(float(loss) - float(tf.reduce_mean(simsiam_loss((p1, p2), (z2, z1))))) > 1e-3


def test_moving_targets_hold_the_other_view_as_their_newest_part(rng):
    model = make("simsiam", predictor="identity", eta_momentum=0.8)
    model.targets.make_table(model.targets.table_shape(20, 16, 32))
    index = tf.constant(rng.permutation(20)[:16])
    old = rng.standard_normal((20, 32)).astype(np.float32)
    model.targets.table.assign(old)
    batch = {"views": make_views(rng), "index": index}
    z = [v.numpy() for v in model.encode(batch["views"], training=True)]
    loss, _ = model.compute_ssl_loss(batch, training=True)
    eta = [0.8 * old[index] + 0.2 * v / np.linalg.norm(v, axis=1, keepdims=True) for v in z]
    assert float(loss) == pytest.approx(float(tf.reduce_mean(simsiam_loss(z, eta[::-1]))), abs=1e-5)
    np.testing.assert_allclose(model.targets.table.numpy()[index], (eta[0] + eta[1]) / 2, atol=1e-5)
    others = np.setdiff1d(np.arange(20), index)
    np.testing.assert_array_equal(model.targets.table.numpy()[others], old[others])


def test_the_first_moving_targets_are_of_the_untrained_network(rng):
    model = make("simsiam", predictor="identity", eta_momentum=0.8, steps_per_epoch=3)
    model.targets.make_table(model.targets.table_shape(20, 16, 32))
    batch = {"views": make_views(rng), "index": tf.constant(rng.permutation(20)[:16])}
    model.targets.precompute(model, batch)
    z = [v.numpy() for v in make("simsiam", predictor="identity").encode(batch["views"], training=True)]
    units = [v / np.linalg.norm(v, axis=1, keepdims=True) for v in z]
    np.testing.assert_allclose(model.targets.table.numpy()[batch["index"]], (units[0] + units[1]) / 2, atol=1e-5)
    assert [model.targets.lookahead_window(step) for step in (0, 2)] == [range(3)] * 2
    assert not model.targets.lookahead_window(3)


def test_a_method_that_remembers_asks_for_its_table(rng):
    with pytest.raises(ValueError, match="make_table"):
        one_step(rng, eta_momentum=0.8)
