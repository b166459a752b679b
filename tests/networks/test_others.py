"""Backbones that the project did not write: what is taken of them, and what is refused."""

import keras
import numpy as np
import pytest

from simsiam_tf.config.model import ModelConfig
from simsiam_tf.errors import UsageError
from simsiam_tf.interop.given import read_weights
from simsiam_tf.methods import SimSiam
from simsiam_tf.networks import feature_dim, make_backbone
from simsiam_tf.networks.others import make_other


@pytest.mark.slow
def test_a_network_of_keras_has_no_dropout_no_preprocessing_and_the_arithmetic_of_keras(tmp_path):
    network = make_backbone(ModelConfig(arch="keras:EfficientNetV2B0"), 32)
    assert feature_dim(network) == 1280
    kinds = {type(layer).__name__ for layer in network._flatten_layers()}
    assert "Rescaling" not in kinds and "Normalization" not in kinds
    assert all(layer.rate == 0 for layer in network._flatten_layers() if isinstance(layer, keras.layers.Dropout))
    assert not any("seed" in variable.path for variable in network.variables)
    theirs = keras.applications.EfficientNetV2B0(
        include_top=False, weights=None, pooling="avg", input_shape=(None, None, 3), include_preprocessing=False
    )
    theirs.save(tmp_path / "theirs.keras")
    given = read_weights(tmp_path / "theirs.keras")
    model = SimSiam(network, projector_dim=16, projector_layers=2, projector_hidden_dim=16, predictor_dim=8)
    assert given.assign_to(model).startswith("Took the backbone alone from ")
    images = np.random.default_rng(0).normal(size=(2, 32, 32, 3)).astype(np.float32)
    np.testing.assert_allclose(network(images).numpy(), theirs(images).numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_a_network_s_own_preprocessing_is_left_out():
    """EfficientNet divides images by 255, and has no argument to leave that out."""
    kinds = {type(layer).__name__ for layer in make_other("keras:EfficientNetB0", 32)._flatten_layers()}
    assert not kinds & {"Rescaling", "Normalization"}


@pytest.mark.slow
@pytest.mark.parametrize(("name", "side"), [("InceptionV3", 75), ("ConvNeXtTiny", 32), ("Xception", 71)])
def test_weights_have_the_same_paths_however_far_keras_has_counted(name, side):
    """Keras names some layers of these by counting all that the process has made."""
    first = [variable.path for variable in make_other(f"keras:{name}", side).variables]
    keras.layers.Conv2D(1, 1)
    second = [variable.path for variable in make_other(f"keras:{name}", side).variables]
    assert first == second
    assert len(set(first)) == len(first)


@pytest.mark.parametrize(
    ("arch", "side", "why"),
    [
        ("keras:InceptionV3", 32, r"give another --image_size \(Input size must be at least 75x75.*Received: --image_"),
        ("keras:EfficientNet", 32, r"takes a network of keras.applications: .*Received: 'EfficientNet'\.$"),
        ("keras:deserialize", 32, r"Received: 'deserialize'\.$"),
        ("keras_hub:nowhere", 32, r"pip install keras-hub|must name a folder with a preset"),
    ],
)
def test_what_does_not_fit_is_refused(arch, side, why):
    with pytest.raises(UsageError, match=why):
        make_other(arch, side)


@pytest.mark.parametrize("arch", ["resnet19", "keras:", "keras", "torch:resnet18", "keras_hub:", ""])
def test_an_architecture_that_is_none_is_refused(arch):
    with pytest.raises(UsageError, match=r"--arch must be one of resnet18, .*keras:NAME, or keras_hub:FOLDER"):
        ModelConfig(arch=arch)


@pytest.mark.parametrize(("name", "value"), [("width", 0.5), ("stem", "cifar")])
def test_settings_of_our_own_networks_are_refused_for_others(name, value):
    with pytest.raises(UsageError, match=f"--{name} is of our ResNets, not of --arch=keras:VGG16"):
        ModelConfig(arch="keras:VGG16", **{name: value})
