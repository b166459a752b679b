import time
from types import SimpleNamespace

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


def test_an_epoch_tells_its_pace_how_long_targets_were_precomputed(monkeypatch):
    clock, logs = [0.0], {}
    monkeypatch.setattr(time, "perf_counter", lambda: clock[0])
    training = object.__new__(loop.TrainingLoop)
    training._order = SimpleNamespace(steps_per_epoch=3, global_batch_size=10)
    training._saver = SimpleNamespace(step=0, is_due_at=lambda step: False)
    training._model = SimpleNamespace(reset_metrics=lambda: None)
    training._events = SimpleNamespace(on_epoch_begin=lambda _: None, on_epoch_end=lambda _, found: logs.update(found))
    training._progress = SimpleNamespace(add=lambda count: None)
    training._lookahead = SimpleNamespace(steps_until_next=lambda step: 3)
    training._devices = SimpleNamespace(steps_per_execution=1)

    def takes(seconds):
        clock[0] += seconds

    def execute(done, count, pace):
        takes(1.0)
        return loop.StepResult(pace.after(count, 0.0), False, False, False)

    training._look_ahead = lambda step: takes(30.0 if step == 0 else 0.0)
    training.run_execution, training._save = execute, lambda: None
    training.run_epoch(0)
    assert logs["images_per_second"] == pytest.approx(20 / 32)


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
