"""Files for programs of PyTorch, written and read back."""

import numpy as np
import pytest

from simsiam_tf.interop.given import read_weights
from simsiam_tf.interop.torch_files import read_detectron2, write_detectron2, write_release
from simsiam_tf.interop.torch_names import to_torch
from tests.interop.test_given import make, randomized


@pytest.fixture
def source(rng):
    return randomized(make(), rng)


@pytest.mark.parametrize("bn_placement", ["release", "paper", "none", "hidden", "all"])
def test_a_release_goes_out_and_comes_back_in_all_bits(rng, tmp_path, bn_placement):
    source, again = randomized(make(bn_placement=bn_placement), rng), make(bn_placement=bn_placement)
    write_release(source.backbone, {"projector": source.projector, "predictor": source.predictor}, tmp_path)
    said = read_weights(tmp_path / "checkpoint.pth.tar").assign_to(again)
    assert "Took backbone, projector and predictor" in said
    for own, given in zip(again.variables, source.variables, strict=True):
        np.testing.assert_array_equal(own.numpy(), given.numpy())


def test_detectron2_s_file_needs_no_numpy_2(source, tmp_path):
    write_detectron2(source.backbone, tmp_path)
    content = (tmp_path / "network.pkl").read_bytes()
    assert b"numpy._core" not in content
    assert b"__author__" in content
    found = read_detectron2(tmp_path / "network.pkl", source.backbone)
    for name, array in to_torch(source.backbone).items():
        if name in found:
            np.testing.assert_array_equal(found[name], array)
    assert len(found) == len(source.backbone.variables)
