import numpy as np
import tensorflow as tf

from simsiam_tf.detection.masks import mask_targets, paste_masks


def test_targets_do_not_depend_on_the_padding_of_the_canvas(rng):
    mask = rng.random((2, 20, 27)) < 0.5
    wide = np.zeros((2, 32, 40), bool)
    wide[:, :20, :27] = mask
    boxes, which = tf.constant([[2.0, 3.0, 27.0, 20.0], [0.0, 0.0, 9.0, 20.0]]), tf.constant([1, 0])
    sizes = tf.constant([[20, 27], [20, 27]])
    small, large = (mask_targets(tf.constant(np.packbits(m, axis=-1)), which, sizes, boxes, 7) for m in (mask, wide))
    np.testing.assert_array_equal(small, large)
    assert 0 < float(tf.reduce_mean(small)) < 1


def test_a_mask_that_fills_its_box_is_pasted_to_the_box():
    boxes = tf.constant([[2.0, 1.0, 6.0, 4.0]])
    pasted = paste_masks(tf.ones([1, 14, 14]), boxes, 5, 8).numpy()[0] >= 0.5
    wanted = np.zeros((5, 8), bool)
    wanted[1:4, 2:6] = True
    np.testing.assert_array_equal(pasted, wanted)


def test_an_empty_box_covers_no_pixel():
    boxes = tf.constant([[2.0, 1.0, 2.0, 4.0], [0.0, 0.0, 0.0, 0.0]])
    assert float(tf.reduce_max(paste_masks(tf.ones([2, 14, 14]), boxes, 5, 8))) == 0
