from typing import get_args

import numpy as np
import pytest

from simsiam_tf.config.methods import BNPlacement
from simsiam_tf.networks.heads import make_predictor, make_projector

# Table 3: batch norm on (projector hidden, projector output, predictor hidden, predictor output).
EXPECTED = {
    "none": ([], []),
    "hidden": (["affine", "affine", None], ["affine", None]),
    "release": (["affine", "affine", "plain"], ["affine", None]),
    "paper": (["affine", "affine", "affine"], ["affine", None]),
    "all": (["affine", "affine", "affine"], ["affine", "affine"]),
}


def placement(head):
    return [None if bn is None else "affine" if bn.affine else "plain" for bn in head.norm]


@pytest.mark.parametrize("bn_placement", get_args(BNPlacement))
def test_batch_norm_placement_is_table_3_s(bn_placement):
    projector = make_projector(8, 16, 3, None, bn_placement)
    predictor = make_predictor(16, 4, bn_placement)
    expected = EXPECTED[bn_placement]
    assert placement(projector) == (expected[0] or [None] * 3)
    assert placement(predictor) == (expected[1] or [None] * 2)


def test_widths_are_the_paper_s():
    projector, predictor = make_projector(2048), make_predictor()
    assert [dense.kernel.shape for dense in projector.dense] == [(2048, 2048)] * 3
    assert [dense.kernel.shape for dense in predictor.dense] == [(2048, 512), (512, 2048)]


def test_dense_layers_start_uniform_within_one_over_sqrt_fan_in():
    kernel = make_projector(64, 256, 2).dense[0].kernel.numpy()
    assert np.abs(kernel).max() <= 1 / 8
    assert kernel.std() == pytest.approx(1 / 8 / np.sqrt(3), rel=0.05)


def test_the_projector_s_output_bias_is_there_but_not_trained():
    projector = make_projector(8, 16, 2)
    bias = projector.dense[-1].bias
    assert np.abs(bias.numpy()).max() > 0
    assert all(bias is not v for v in projector.trainable_variables)
    assert any(bias is v for v in projector.variables)
    hidden = make_projector(8, 16, 2, None, "hidden")
    assert any(hidden.dense[-1].bias is v for v in hidden.trainable_variables)
