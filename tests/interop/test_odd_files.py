"""Files of weights that are odd or do harm."""

import json
import zipfile

import ml_dtypes
import numpy as np
import pytest
from safetensors import numpy as safetensors

from simsiam_tf.errors import UsageError
from simsiam_tf.interop.given import read_weights
from simsiam_tf.interop.pth_writing import pth_bytes
from simsiam_tf.interop.torch_names import to_torch
from simsiam_tf.networks import resnet18
from tests.interop.test_given import make, randomized


@pytest.fixture
def source(rng):
    return randomized(make(), rng)


def test_numbers_of_16_bits_are_read_from_safetensors_and_whole_ones_refused(source, tmp_path):
    arrays = {name: a for name, a in to_torch(source.backbone).items() if a.ndim}
    half = {name: array.astype(ml_dtypes.bfloat16) for name, array in arrays.items()}
    described, at = {}, 0
    for name, array in half.items():
        described[name] = {"dtype": "BF16", "shape": array.shape, "data_offsets": [at, at + array.nbytes]}
        at += array.nbytes
    header = json.dumps(described).encode()
    numbers = b"".join(array.tobytes() for array in half.values())
    (tmp_path / "half.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + numbers)
    backbone = resnet18(width=0.0625)
    read_weights(tmp_path / "half.safetensors").assign_to_backbone(backbone)
    np.testing.assert_array_equal(to_torch(backbone)["bn1.bias"], half["bn1.bias"].astype(np.float32))
    whole = arrays | {"bn1.bias": np.ones(4, np.int8)}
    (tmp_path / "whole.safetensors").write_bytes(safetensors.save(whole))
    with pytest.raises(UsageError, match=r"bn1.bias holds int8, as in a quantised network"):
        read_weights(tmp_path / "whole.safetensors").assign_to_backbone(backbone)


def test_a_zip_bomb_in_a_file_of_keras_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "bomb.keras", "w", zipfile.ZIP_DEFLATED) as bomb:
        bomb.writestr("config.json", " " * 10**7)
        bomb.writestr("model.weights.h5", b"")
    with pytest.raises(UsageError, match="its parts are compressed, or larger than the file"):
        read_weights(tmp_path / "bomb.keras")


def test_names_in_a_file_cannot_forge_lines(source, tmp_path):
    arrays = to_torch(source.backbone)
    (tmp_path / "x.pth").write_bytes(
        pth_bytes({f"backbone.{n}": a for n, a in arrays.items()} | {"a\nDone": arrays["bn1.bias"]})
    )
    said = read_weights(tmp_path / "x.pth").assign_to_backbone(resnet18(width=0.0625))
    assert "\n" not in said and "in the layout of another program" in said
