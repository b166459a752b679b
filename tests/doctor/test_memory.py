import pytest

from simsiam_tf.doctor import memory
from simsiam_tf.doctor.checks import Asked

GIB = 2**30


@pytest.mark.parametrize(("gib", "state"), [(0.5, "fail"), (1.5, "warn"), (2.5, "pass")])
def test_little_memory(monkeypatch, gib, state):
    monkeypatch.setattr(memory, "available_memory", lambda: int(gib * GIB))
    outcome = memory.memory(Asked())
    assert (outcome.state, outcome.value) == (state, f"{gib} GiB free")
