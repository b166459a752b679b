import time

import pytest

from simsiam_tf.training import loop


def test_what_is_precomputed_before_the_first_step_counts_for_the_epoch(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: clock[0])
    pace = loop.Pace(global_batch_size=10)
    for step, precomputed in enumerate((30.0, 0.0, 5.0)):  # as by --alternation_steps=2
        clock[0] += precomputed
        pace.add_before_step(precomputed)
        clock[0] += 100.0 if step == 0 else 1.0  # the first step is also traced
        logs = pace.after(1, 0.0)
    assert logs["images_per_second"] == pytest.approx(20 / (30 + 1 + 5 + 1))


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
