import numpy as np
import pytest

from simsiam_tf.detection.statistics import estimated_statistics
from simsiam_tf.distribute.strategy import ONE_DEVICE
from tests.detection.tiny import make_batch, make_detector


def levels(seed):
    """A batch before it is normalised."""
    batch = make_batch(seed=seed)
    images = np.random.default_rng(seed).integers(0, 255, batch["views"][0].shape).astype(np.uint8)
    return {**{name: value for name, value in batch.items() if name != "views"}, "images": images}


def test_the_statistics_are_means_over_the_batches_and_only_inside():
    model = make_detector()
    variance = model.backbone.stem_norm.moving_variance
    before, alone = [v.numpy() for v in model.variables], []
    for seed in (0, 1):
        with estimated_statistics(model, [levels(seed)], ONE_DEVICE) as count:
            assert count == 1
            alone.append(variance.numpy())
    with estimated_statistics(model, [levels(0), levels(1)], ONE_DEVICE) as count:
        assert count == 2
        np.testing.assert_allclose(variance.numpy(), (alone[0] + alone[1]) / 2, rtol=1e-5)
        assert np.abs(variance.numpy() - 1).max() > 0.1
    for value, variable in zip(before, model.variables, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value)


def test_an_error_inside_leaves_the_moving_averages():
    model = make_detector()
    before = model.region_norm.moving_mean.numpy()
    with pytest.raises(KeyError), estimated_statistics(model, [levels(0)], ONE_DEVICE):
        raise KeyError
    np.testing.assert_array_equal(model.region_norm.moving_mean.numpy(), before)


def test_without_batches_the_moving_averages_stay():
    model = make_detector()
    before = model.region_norm.moving_variance.numpy()
    with estimated_statistics(model, (), ONE_DEVICE) as count:
        assert count == 0
        np.testing.assert_array_equal(model.region_norm.moving_variance.numpy(), before)
