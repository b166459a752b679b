"""Averages a logged number over the steps of an epoch, or counts the steps where it is not finite."""

import keras
import tensorflow as tf


class RunningMean(keras.metrics.Metric):
    """Averages the values of the steps. Every replica holds the same average.

    Values that are not finite are left out; `Count` counts them. Keras' own mean holds a different sum on each replica
    until its result is read.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name=name)
        own = {"shape": (), "initializer": "zeros", "aggregation": "only_first_replica"}
        self.total, self.count = (self.add_variable(name=part, **own) for part in ("total", "count"))

    def update_state(self, value: tf.Tensor) -> None:
        """Adds a value to the mean, if it is finite."""
        counts = tf.cast(tf.math.is_finite(value), self.count.dtype)
        self.total.assign_add(tf.math.multiply_no_nan(tf.cast(value, self.total.dtype), counts))
        self.count.assign_add(counts)

    def result(self) -> tf.Tensor:
        """Returns the mean of the values so far, or 0 without any."""
        return tf.math.divide_no_nan(tf.convert_to_tensor(self.total), tf.convert_to_tensor(self.count))


class Count(keras.metrics.Metric):
    """Counts the steps whose value is not finite. Every replica holds the same count."""

    def __init__(self, name: str) -> None:
        super().__init__(name=name)
        self.count = self.add_variable(name="count", shape=(), initializer="zeros", aggregation="only_first_replica")

    def update_state(self, value: tf.Tensor) -> None:
        """Adds 1 if a value is not finite."""
        self.count.assign_add(1.0 - tf.cast(tf.math.is_finite(value), self.count.dtype))

    def result(self) -> tf.Tensor:
        """Returns the number of values so far that were not finite."""
        return tf.convert_to_tensor(self.count)
