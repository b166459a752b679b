"""Exports are in float32, whatever a run computes in."""

import keras
import numpy as np
import pytest

from simsiam_tf import resnet18
from simsiam_tf.errors import UsageError
from simsiam_tf.interop.float32 import float32_layers, in_float32
from simsiam_tf.interop.formats import Exported, export
from simsiam_tf.training.factory import set_precision


@pytest.fixture(params=["float64", "mixed_bfloat16"])
def backbone(request, rng):
    before = keras.config.floatx(), keras.config.dtype_policy()
    set_precision({"mixed_bfloat16": "bfloat16"}.get(request.param, request.param))
    model = resnet18(cifar_stem=True, width=0.0625)
    for variable in model.variables:
        variable.assign(variable.numpy() * rng.uniform(0.9, 1.1, variable.shape))
    yield model
    keras.config.set_floatx(before[0])
    keras.config.set_dtype_policy(before[1])


def test_a_copy_has_the_weights_in_float32(backbone, rng):
    copy = in_float32(backbone)
    assert copy is not backbone
    assert {layer.compute_dtype for layer in copy._flatten_layers()} == {"float32"}
    for ours, theirs in zip(copy.variables, backbone.variables, strict=True):
        assert ours.path == theirs.path
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy().astype(np.float32))
    images = rng.standard_normal((2, 32, 32, 3)).astype(np.float32)
    features = copy(images)
    assert features.dtype == np.float32
    exact = backbone.dtype_policy.name == "float64"
    np.testing.assert_allclose(features, backbone(images).numpy().astype(np.float64), atol=1e-6 if exact else 0.1)
    assert in_float32(copy) is copy


def test_the_process_goes_on_in_its_precision(backbone):
    before = keras.config.floatx(), keras.config.dtype_policy().name
    with pytest.raises(ZeroDivisionError), float32_layers():
        assert (keras.config.floatx(), keras.config.dtype_policy().name) == ("float32", "float32")
        raise ZeroDivisionError
    assert (keras.config.floatx(), keras.config.dtype_policy().name) == before


@pytest.mark.slow
def test_what_is_written_is_in_float32(backbone, tmp_path):
    assert export(Exported(backbone, 32), tmp_path / "export", ["keras", "safetensors"]).keys() == {
        "keras",
        "safetensors",
    }
    with float32_layers():
        again = keras.saving.load_model(tmp_path / "export" / "backbone.keras")
    assert again.compute_dtype == "float32"
    for ours, theirs in zip(again.variables, backbone.variables, strict=True):
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy().astype(np.float32))


def test_a_network_that_cannot_be_copied_is_refused():
    layers = [keras.layers.Input([None, None, 3]), keras.layers.GlobalAveragePooling2D(dtype="float16")]
    with pytest.raises(UsageError, match=r"computes in float32 can be exported. Received: other"):
        in_float32(keras.Sequential(layers, name="other"))
