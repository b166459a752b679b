import numpy as np
import pytest
import tensorflow as tf

from simsiam_tf.detection.boxes import iou
from simsiam_tf.detection.nms import best_first, nms


def plain(boxes, live, threshold, limit, groups):
    overlaps, kept = iou(tf.constant(boxes), tf.constant(boxes)).numpy(), []
    for i in np.flatnonzero(live):
        if all(overlaps[i, j] <= threshold or groups[i] != groups[j] for j in kept):
            kept.append(int(i))
        if len(kept) == limit:
            break
    return kept


def random_boxes(rng, *shape):
    corner, size = rng.uniform(0, 90, (*shape, 2)), rng.uniform(1, 40, (*shape, 2))
    return np.concatenate([corner, corner + size], axis=-1)


@pytest.mark.parametrize(("count", "limit"), [(3, 2), (256, 300), (700, 40), (700, 700)])
def test_equals_plain_loops_over_several_tiles(rng, count, limit):
    boxes, live = random_boxes(rng, 2, count), rng.random((2, count)) < 0.9
    groups = rng.integers(0, 3, (2, count)).astype(np.int32)
    for of_groups in (np.zeros_like(groups), groups):
        index, found = nms(tf.constant(boxes), tf.constant(live), 0.4, limit, tf.constant(of_groups))
        assert index.shape == found.shape == (2, limit)
        for i in range(2):
            wanted = plain(boxes[i], live[i], 0.4, limit, of_groups[i])
            assert index.numpy()[i][found.numpy()[i]].tolist() == wanted
            assert found.numpy()[i].sum() == len(wanted)


def test_a_chain_of_overlaps_ends_as_the_greedy_one_does():
    """Each box meets the next alone: every second one stays."""
    boxes = np.array([[10.0 * i, 0, 10 * i + 18, 10] for i in range(300)])[np.newaxis]
    index, found = nms(tf.constant(boxes), tf.ones([1, 300], tf.bool), 0.2, 300)
    assert index.numpy()[0][found.numpy()[0]].tolist() == list(range(0, 300, 2))


def test_nothing_alive_gives_nothing():
    index, found = nms(tf.zeros([1, 5, 4]), tf.zeros([1, 5], tf.bool), 0.5, 3)
    assert index.numpy().tolist() == [[0, 0, 0]]
    assert not found.numpy().any()


def test_the_first_of_equal_scores_comes_first():
    index, live = best_first(tf.constant([[1.0, 2.0, 2.0, 5.0]]), tf.constant([[True, True, True, False]]), 4)
    assert index.numpy()[0, :3].tolist() == [1, 2, 0]
    assert live.numpy().tolist() == [[True, True, True, False]]
