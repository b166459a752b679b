import numpy as np
import tensorflow as tf

from simsiam_tf.losses.byol import byol_loss
from simsiam_tf.losses.simsiam import simsiam_loss
from tests.methods.test_methods import make, make_views


def test_targets_are_the_target_network_s(rng):
    model, views = make("byol"), make_views(rng)
    for variable in model.target.variables:
        variable.assign(variable * 1.1)
    z = [model.projector(model.backbone(view)) for view in views]
    expected = byol_loss([model.predictor(view) for view in z], model.target(views))
    loss, _ = model.compute_ssl_loss({"views": views}, training=False)
    np.testing.assert_allclose(loss, tf.reduce_mean(expected), rtol=1e-5)


def test_without_a_momentum_encoder_it_is_simsiam_but_for_scale_and_origin(rng):
    """The paper's Sec. 1: SimSiam can be thought of as BYOL without the momentum encoder."""
    model, views = make("byol", ema_momentum=0.0), make_views(rng)
    z = [model.projector(model.backbone(view)) for view in views]
    same = simsiam_loss([model.predictor(view) for view in z], z[::-1])
    loss, _ = model.compute_ssl_loss({"views": views}, training=False)
    np.testing.assert_allclose(loss, 4 + 4 * tf.reduce_mean(same), rtol=1e-5)
    assert len(model.variables) < len(make("byol").variables)
    model.train_step(views)


def test_the_target_network_follows_along_the_cosine(rng):
    model = make("byol", ema_momentum=0.5)  # of 16 steps
    momenta = [1 - 0.5 * (np.cos(np.pi * k / 16) + 1) / 2 for k in range(2)]
    for momentum in momenta:
        before = [v.numpy() for v in model.target.variables]
        model.train_step(make_views(rng))
        online = [*model.backbone.variables, *model.projector.variables]
        for copy, old, theta in zip(model.target.variables, before, online, strict=True):
            if theta.trainable:
                expected = momentum * old + (1 - momentum) * theta.numpy()
                np.testing.assert_allclose(copy.numpy(), expected, atol=1e-6, err_msg=copy.path)
