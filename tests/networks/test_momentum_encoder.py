import keras
import numpy as np
import pytest
import tensorflow as tf

from simsiam_tf import resnet18
from simsiam_tf.networks.heads import make_projector
from simsiam_tf.networks.momentum_encoder import MomentumEncoder, momentum_at
from simsiam_tf.networks.normalization import each_view


@pytest.fixture
def networks():
    backbone = resnet18(cifar_stem=True, width=0.0625)
    return [backbone, make_projector(backbone.feature_dim, 8, 2)]


def encode(networks, views, training):
    for network in networks:
        views = each_view(network, views, training)
    return views


@pytest.mark.parametrize("training", [False, True])
def test_begins_as_the_encoder_and_gives_what_it_gives(networks, rng, training):
    views = tuple(tf.constant(rng.standard_normal((4, 8, 8, 3)), tf.float32) for _ in range(2))
    copy = MomentumEncoder(networks)
    for ours, theirs in zip(copy(views, training=training), encode(networks, views, training), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_follows_what_is_trained_and_keeps_statistics_of_its_own(networks):
    copy = MomentumEncoder(networks)
    before = [v.numpy() for v in copy.variables]
    online = [v for network in networks for v in network.variables]
    for variable in online:
        variable.assign_add(tf.ones_like(variable))
    tf.function(lambda: copy.follow(networks, 0.75), autograph=False)()
    moved = {True: 0.25, False: 0.0}
    for variable, old, theta in zip(copy.variables, before, online, strict=True):
        np.testing.assert_allclose(variable.numpy() - old, moved[theta.trainable], atol=1e-6, err_msg=variable.path)


def test_is_not_trained(networks, rng):
    copy = MomentumEncoder(networks)
    assert not copy.trainable_variables
    assert len(copy.non_trainable_variables) == sum(len(network.variables) for network in networks)
    assert not {v.path for v in copy.variables} & {v.path for network in networks for v in network.variables}
    view = tf.constant(rng.standard_normal((4, 8, 8, 3)), tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(view)
        (z,) = copy((view,))
    assert tape.gradient(z, view) is None


def test_copies_a_backbone_of_somebody_else(rng):
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3)(inputs)
    x = keras.layers.BatchNormalization()(x)
    backbone = keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(x))
    copy = MomentumEncoder([backbone])
    assert not {v.path for v in copy.variables} & {v.path for v in backbone.variables}
    view = tf.constant(rng.standard_normal((16, 8, 8, 3)), tf.float32)
    np.testing.assert_allclose(copy((view,), training=True)[0], backbone(view, training=True), atol=1e-6)


def test_momentum_rises_to_1_along_a_cosine():
    """BYOL, Sec. 3.3: 1 - (1 - tau) (cos(pi k / K) + 1) / 2."""
    assert float(momentum_at(0, 0.9, 100, "cosine")) == pytest.approx(0.9)
    assert float(momentum_at(50, 0.9, 100, "cosine")) == pytest.approx(0.95)
    assert float(momentum_at(100, 0.9, 100, "cosine")) == pytest.approx(1.0)
    assert float(momentum_at(50, 0.9, 100, "constant")) == pytest.approx(0.9)
