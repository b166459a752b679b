import numpy as np
import pytest

from simsiam_tf.methods.running_mean import Count, RunningMean


def test_what_is_not_finite_is_left_out_of_the_mean_and_counted():
    mean, count = RunningMean("loss"), Count("left_out")
    for value in (1.0, np.nan, 3.0, np.inf, -np.inf):
        mean.update_state(value)
        count.update_state(value)
    assert float(mean.result()) == pytest.approx(2)
    assert float(count.result()) == 3
    mean.reset_state()
    count.reset_state()
    assert float(mean.result()) == float(count.result()) == 0
