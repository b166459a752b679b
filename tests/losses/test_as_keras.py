import keras
import numpy as np
import pytest

from simsiam_tf import losses


def test_a_keras_loss_is_the_mean_of_the_function(rng):
    p1, p2, z1, z2 = rng.standard_normal((4, 6, 8))
    pairs = (z1, z2), (p1, p2)
    expected = {
        losses.NegativeCosine(): (z1, p1, losses.negative_cosine(p1, z1)),
        losses.CrossEntropySimilarity(): (z1, p1, losses.cross_entropy(p1, z1)),
        losses.SimSiamLoss(): (*pairs, losses.simsiam_loss((p1, p2), (z2, z1))),
        losses.NTXent(temperature=0.3): (*pairs, losses.nt_xent((p1, p2), (z1, z2), 0.3)),
        losses.BYOLLoss(): (*pairs, losses.byol_loss((p1, p2), (z1, z2))),
        losses.BarlowTwinsLoss(redundancy_weight=0.1): (z2, z1, losses.barlow_twins_loss(z1, z2, 0.1)),
    }
    for loss, (y_true, y_pred, each) in expected.items():
        assert float(loss(y_true, y_pred)) == pytest.approx(float(np.mean(each)), rel=1e-5), loss.name
        again = keras.losses.deserialize(keras.losses.serialize(loss))
        assert type(again) is type(loss)
        assert again.get_config() == loss.get_config()


def test_every_loss_class_is_compared():
    assert len([name for name in losses.__all__ if name[0].isupper()]) == 6
