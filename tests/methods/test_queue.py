import keras
import numpy as np
import tensorflow as tf

from simsiam_tf.methods.queue import put_into_queue


def test_the_newest_come_first_and_the_oldest_leave():
    queue = keras.Variable(np.arange(8, dtype=np.float32).reshape(4, 2))
    put_into_queue(queue, tf.constant([[9.0, 9]]))
    np.testing.assert_array_equal(queue.numpy(), [[9, 9], [0, 1], [2, 3], [4, 5]])


def test_rows_that_are_not_finite_stay_outside_with_their_batch():
    queue = keras.Variable(np.arange(8, dtype=np.float32).reshape(4, 2))
    put_into_queue(queue, tf.constant([[9.0, 9], [9, np.inf]]))
    np.testing.assert_array_equal(queue.numpy(), np.arange(8).reshape(4, 2))
