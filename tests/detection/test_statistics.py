import numpy as np
import pytest

from simsiam_tf.detection.c4 import normalised
from simsiam_tf.detection.statistics import estimated_statistics
from simsiam_tf.distribute.strategy import ONE_DEVICE
from simsiam_tf.networks.residual_block import pad_for
from tests.detection.tiny import make_batch, make_detector


def levels(seed):
    """A batch before it is normalised."""
    batch = make_batch(seed=seed)
    images = np.random.default_rng(seed).integers(0, 255, batch["views"][0].shape).astype(np.uint8)
    return {**{name: value for name, value in batch.items() if name != "views"}, "images": images}


@pytest.mark.slow
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


def test_the_statistics_of_one_batch_are_its_own():
    model, batch = make_detector(), levels(0)
    conv = model.backbone.stem_conv(pad_for(normalised(batch)["views"][0], model.backbone.stem_conv)).numpy()
    with estimated_statistics(model, [batch], ONE_DEVICE):
        np.testing.assert_allclose(model.backbone.stem_norm.moving_mean.numpy(), conv.mean((0, 1, 2)), atol=1e-4)
        variance = conv.reshape(-1, conv.shape[-1]).var(0, ddof=1)
        np.testing.assert_allclose(model.backbone.stem_norm.moving_variance.numpy(), variance, rtol=1e-4)


@pytest.mark.slow
def test_statistics_that_are_not_finite_are_refused():
    model = make_detector()
    model.backbone.stem_conv.kernel.assign(np.full(model.backbone.stem_conv.kernel.shape, np.inf))
    with pytest.raises(FloatingPointError), estimated_statistics(model, [levels(0)], ONE_DEVICE):
        pass


@pytest.mark.slow
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
