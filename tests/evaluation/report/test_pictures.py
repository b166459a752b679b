import dataclasses

import pytest

from simsiam_tf.config.methods import SwAVConfig
from simsiam_tf.config.model import ModelConfig
from simsiam_tf.evaluation.report.pictures import view_strips


@pytest.mark.slow
def test_small_views_are_left_out_of_the_rows_of_views(run):
    """SwAV's multi-crop has more views than the two of the pair."""
    model, augment = ModelConfig(of_method=SwAVConfig()), dataclasses.replace(run.config.augment, small_views=2)
    of_swav = dataclasses.replace(run, config=dataclasses.replace(run.config, model=model, augment=augment))
    of_swav.__dict__.update(train_source=run.train_source)
    strips = view_strips(of_swav)
    assert [strip[0]["title"].partition(" of ")[0] for strip in strips] == ["image", "view 1", "view 2"]
