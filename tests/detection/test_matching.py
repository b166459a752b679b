import numpy as np
import tensorflow as tf

from simsiam_tf.detection.matching import BACKGROUND, FOREGROUND, IGNORED, match, sample_labels, sampled_first


def draws(rng, *shape):
    return tf.constant(rng.random(shape).astype(np.float32))


def test_padding_rows_never_match():
    overlaps = tf.constant([[0.1, 0.9], [-1.0, -1.0]])
    index, label = match(overlaps, (0.5,), (BACKGROUND, FOREGROUND), every_object=True)
    assert index.numpy().tolist() == [0, 0]
    assert label.numpy().tolist() == [BACKGROUND, FOREGROUND]


def test_without_objects_everything_is_background():
    index, label = match(tf.zeros([0, 3]), (0.3, 0.7), (BACKGROUND, IGNORED, FOREGROUND), every_object=True)
    assert index.numpy().tolist() == [0, 0, 0]
    assert label.numpy().tolist() == [BACKGROUND] * 3


def test_at_most_a_part_is_foreground_and_background_fills_up(rng):
    labels = tf.constant([[FOREGROUND] * 50 + [BACKGROUND] * 50 + [IGNORED] * 20])
    chosen = sample_labels(labels, draws(rng, 1, 120), 40, 0.25).numpy()[0]
    assert (chosen == FOREGROUND).sum() == 10
    assert (chosen == BACKGROUND).sum() == 30
    assert (chosen[50:100] != FOREGROUND).all()
    assert (chosen[100:] == IGNORED).all()


def test_few_foreground_leave_their_room_to_background(rng):
    labels = tf.constant([[FOREGROUND] * 2 + [BACKGROUND] * 50])
    chosen = sample_labels(labels, draws(rng, 1, 52), 40, 0.25).numpy()[0]
    assert (chosen == FOREGROUND).sum() == 2
    assert (chosen == BACKGROUND).sum() == 38


def test_every_candidate_is_chosen_equally_often(rng):
    labels = tf.constant([[FOREGROUND] * 10 + [BACKGROUND] * 30] * 2000)
    chosen = sample_labels(labels, draws(rng, 2000, 40), 8, 0.5).numpy()
    often = (chosen != IGNORED).mean(0)
    assert np.abs(often[:10] - 0.4).max() < 0.05
    assert np.abs(often[10:] - 4 / 30).max() < 0.05


def test_the_list_begins_anew_where_candidates_are_few():
    labels = tf.constant([[BACKGROUND, IGNORED, FOREGROUND, BACKGROUND], [IGNORED, FOREGROUND, IGNORED, IGNORED]])
    assert sampled_first(labels, 5).numpy().tolist() == [[2, 0, 3, 2, 0], [1, 1, 1, 1, 1]]
