import numpy as np
import pytest
import tensorflow as tf

from simsiam_tf.losses.simclr import nt_xent
from tests.methods.test_methods import make, make_views


@pytest.mark.parametrize("stop_gradient", [False, True])
def test_a_predictor_makes_anchors_of_z_and_z_stays_what_is_predicted(rng, stop_gradient):
    """Sec. 6.2."""
    model, views = make("simclr", predictor="mlp", stop_gradient=stop_gradient), make_views(rng)
    z = [model.projector(model.backbone(view)) for view in views]
    expected = tf.reduce_mean(nt_xent([model.predictor(view) for view in z], z, model.temperature))
    loss, _ = model.compute_ssl_loss({"views": views}, training=False)
    np.testing.assert_allclose(loss, expected, rtol=1e-5)
    assert model.predictor.trainable_variables


def test_the_stop_gradient_changes_gradients_alone(rng):
    views = make_views(rng)
    models = [make("simclr", stop_gradient=stop) for stop in (False, True)]
    losses = [float(model.compute_ssl_loss({"views": views}, training=True)[0]) for model in models]
    assert losses[0] == pytest.approx(losses[1], abs=1e-6)
    gradients = [model.loss_gradients(views) for model in models]
    assert any(np.abs(a - b).max() > 1e-4 for a, b in zip(*gradients, strict=True))
