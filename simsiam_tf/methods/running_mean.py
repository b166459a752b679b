"""Averages a logged number over the steps of an epoch."""

import keras
import tensorflow as tf


class RunningMean(keras.metrics.Metric):
    """Averages the values of the steps. Every replica holds the same average.

    Keras' own mean holds a different sum on each replica until its result is read.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name=name)
        own = {"shape": (), "initializer": "zeros", "aggregation": "only_first_replica"}
        self.total, self.count = (self.add_variable(name=part, **own) for part in ("total", "count"))

    def update_state(self, value: tf.Tensor) -> None:
        """Adds a value to the mean."""
        self.total.assign_add(tf.cast(value, self.total.dtype))
        self.count.assign_add(1.0)

    def result(self) -> tf.Tensor:
        """Returns the mean of the values so far, or 0 without any."""
        return tf.math.divide_no_nan(tf.convert_to_tensor(self.total), tf.convert_to_tensor(self.count))
