import numpy as np
import pytest

from simsiam_tf.config.detection_data import DetectionDataConfig
from simsiam_tf.data.objects.opening import open_annotated
from simsiam_tf.data.objects.order import AspectOrder, training_order
from simsiam_tf.data.order import ShuffledOrder
from simsiam_tf.distribute.input import Share


def steps(order, start, stop, **share):
    dataset = order.steps(Share(**({"batch_size": order.global_batch_size} | share)), start, stop).map(order.examples)
    return [(int(epoch), index.tolist()) for epoch, index in dataset.as_numpy_iterator()]


def sizes(wide, tall):
    found = np.array([(40, 60)] * (wide // 2) + [(50, 50)] * (wide - wide // 2) + [(60, 40)] * tall)
    return np.random.default_rng(0).permutation(found)


def test_groups_are_never_mixed_and_each_image_comes_once_an_epoch_at_most():
    of = sizes(23, 18)
    order = AspectOrder(41, 4, seed=7, sizes=of)
    assert order.steps_per_epoch == 5 + 4
    seen, sequences = set(), []
    for epoch in range(6):
        found = steps(order, epoch * 9, (epoch + 1) * 9)
        assert [number for number, _ in found] == [epoch] * 9
        shown = np.array([index for _, index in found])
        assert len(set(shown.reshape(-1))) == 36
        is_tall = of[shown][..., 0] > of[shown][..., 1]
        assert (is_tall.all(axis=1) | ~is_tall.any(axis=1)).all()
        assert is_tall.all(axis=1).sum() == 4
        sequences.append(tuple(is_tall[:, 0]))
        seen |= set(shown.reshape(-1))
    assert seen == set(range(41))  # those that are left out change
    assert len(set(sequences)) > 3


def test_any_step_is_computed_from_its_number_alone():
    order = AspectOrder(41, 4, seed=7, sizes=sizes(23, 18))
    whole = steps(order, 0, 20)
    assert steps(order, 13, 20) == whole[13:]
    halves = steps(order, 13, 20, batch_size=2, replicas=2, all_replicas=2)
    assert [a[1] + b[1] for a, b in zip(halves[::2], halves[1::2], strict=True)] == [index for _, index in whole[13:]]
    assert steps(AspectOrder(41, 4, seed=8, sizes=sizes(23, 18)), 0, 20) != whole


@pytest.mark.parametrize(("wide", "tall"), [(38, 3), (3, 38), (41, 0)])
def test_a_group_smaller_than_a_batch_is_not_kept_apart(wide, tall):
    order = AspectOrder(41, 4, seed=7, sizes=sizes(wide, tall))
    assert order.steps_per_epoch == 10
    assert steps(order, 0, 12) == steps(ShuffledOrder(41, 4, seed=7), 0, 12)


def test_batches_of_one_image_are_possible():
    order = AspectOrder(3, 1, seed=0, sizes=sizes(2, 1))
    for epoch in range(3):
        assert sorted(index[0] for _, index in steps(order, 3 * epoch, 3 * epoch + 3)) == [0, 1, 2]


def test_an_epoch_may_be_a_number_of_steps():
    assert AspectOrder(41, 4, seed=7, epoch_steps=6, sizes=sizes(23, 18)).steps_per_epoch == 6


def test_each_image_needs_a_size():
    with pytest.raises(ValueError, match=r"There must be 41 sizes\. Received: 3"):
        AspectOrder(41, 4, seed=7, sizes=sizes(2, 1))


def test_the_settings_choose_the_order():
    annotated = open_annotated(DetectionDataConfig(), "eval")
    grouped = training_order(annotated, DetectionDataConfig(), 3)
    assert isinstance(grouped, AspectOrder)
    assert (grouped.num_examples, grouped.global_batch_size, grouped.seed) == (500, 16, 3)
    plain = training_order(annotated, DetectionDataConfig(group_by_shape=False, global_batch_size=7), 3)
    assert plain == ShuffledOrder(500, 7, 3)
