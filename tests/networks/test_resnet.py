import keras
import numpy as np
import pytest

from simsiam_tf.networks import BACKBONES, feature_dim, resnet18, resnet50

# torchvision's parameter counts without the classifier.
PARAMETERS = {
    "resnet18": 11_176_512,
    "resnet34": 21_284_672,
    "resnet50": 23_508_032,
    "resnet101": 42_500_160,
    "resnet152": 58_143_808,
}


@pytest.mark.parametrize("arch", BACKBONES)
def test_number_of_parameters_is_torchvision_s(arch):
    model = BACKBONES[arch]()
    assert sum(int(np.prod(v.shape)) for v in model.trainable_variables) == PARAMETERS[arch]


def test_width_multiplies_the_channels_and_the_features():
    model = resnet18(cifar_stem=True, width=0.25)
    assert model.feature_dim == 128
    assert model(np.zeros((2, 32, 32, 3), np.float32)).shape == (2, 128)


def test_convolutions_start_normal_by_fan_out_and_last_scales_at_zero():
    model = resnet50()
    kernel = model.stages[2][1].convs[1].kernel.numpy()
    assert kernel.std() == pytest.approx(np.sqrt(2 / (9 * kernel.shape[-1])), rel=0.01)
    assert np.abs(kernel).max() > 3 * kernel.std(), "the normal distribution is not cut off"
    for block in model.blocks:
        assert np.all(block.norms[-1].gamma.numpy() == 0)
        assert np.all(block.norms[0].gamma.numpy() == 1)


def test_a_keras_file_gives_the_same_features(tmp_path, rng):
    model = resnet18(cifar_stem=True, width=0.125)
    images = rng.standard_normal((4, 32, 32, 3)).astype(np.float32)
    model(images, training=True)
    model.save(tmp_path / "backbone.keras")
    again = keras.models.load_model(tmp_path / "backbone.keras")
    np.testing.assert_array_equal(again(images), model(images))


def test_an_unknown_arch_is_refused():
    from simsiam_tf import ResNet

    with pytest.raises(ValueError, match=r"arch must be one of .* Received: 'vgg'"):
        ResNet("vgg")


def test_feature_dim_of_a_user_s_own_model():
    inputs = keras.Input((8, 8, 3))
    own = keras.Model(inputs, keras.layers.Dense(7)(keras.layers.Flatten()(inputs)))
    assert feature_dim(own) == 7
    unbuilt = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(7)])
    with pytest.raises(ValueError, match="must be built"):
        feature_dim(unbuilt)
