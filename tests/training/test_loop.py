import time

import pytest

from simsiam_tf.training import loop


def test_the_pace_is_that_of_the_steps_after_the_first(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: clock[0])
    pace = loop.Pace(global_batch_size=10)

    def execution(waits, works, steps=1):
        clock[0] += waits + works
        return pace.after(steps, waits)

    assert execution(3.0, 97.0) == pytest.approx({"images_per_second": 0.1, "input_wait_fraction": 0.03})
    assert execution(1.0, 3.0) == pytest.approx({"images_per_second": 2.5, "input_wait_fraction": 0.25})
    assert execution(0.0, 6.0, steps=3) == pytest.approx({"images_per_second": 4.0, "input_wait_fraction": 0.1})
