import numpy as np
import pytest
import tensorflow as tf

from simsiam_tf.augment.threefry import fold_in, threefry, uniform, view_keys


def test_threefry_gives_the_published_answers():
    """Known answers of Threefry-2x32-20 from the Random123 distribution (Salmon et al. 2011)."""
    for counter, key, expected in [
        ((0, 0), (0, 0), (0x6B200159, 0x99BA4EFE)),
        ((0xFFFFFFFF,) * 2, (0xFFFFFFFF,) * 2, (0x1CB996FC, 0xBB002BE7)),
        ((0x243F6A88, 0x85A308D3), (0x13198A2E, 0x03707344), (0xC4923A9C, 0x483DF7A0)),
    ]:
        words = [tf.constant(word, tf.uint32) for word in (*key, *counter)]
        assert tuple(int(word) for word in threefry(*words)) == expected


def test_draws_are_uniform_and_independent():
    keys = view_keys(3, tf.constant(0), tf.range(20000), 0)
    draws = uniform(keys, 3).numpy()
    assert draws.min() >= 0
    assert draws.max() < 1
    np.testing.assert_allclose(draws.mean(0), 0.5, atol=0.01)
    np.testing.assert_allclose(draws.var(0), 1 / 12, atol=0.003)
    np.testing.assert_allclose(np.corrcoef(draws.T), np.eye(3), atol=0.03)


def test_every_part_of_the_address_matters():
    def draw(seed=0, epoch=0, index=0, view=0, purpose=0):
        keys = view_keys(seed, tf.constant(epoch), tf.constant([index]), view)
        return float(uniform(fold_in(keys, purpose), 1)[0, 0])

    others = [draw(seed=1), draw(epoch=1), draw(index=1), draw(view=1), draw(purpose=1)]
    assert len({draw(), *others}) == 6
    assert draw() == draw()


@pytest.mark.host_xla
def test_eager_graph_and_xla_agree_to_the_bit():
    def draw(index):
        return uniform(fold_in(view_keys(7, tf.constant(2), index, 1), 3), 5)

    index = tf.range(10)
    eager = draw(index).numpy()
    np.testing.assert_array_equal(eager, tf.function(draw)(index))
    np.testing.assert_array_equal(eager, tf.function(draw, jit_compile=True)(index))
    dataset = tf.data.Dataset.from_tensors(index).map(draw)
    np.testing.assert_array_equal(eager, next(iter(dataset)))
