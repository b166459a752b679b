"""Judges the kept runs of tests/fixtures/guard, which benchmarks/guard_runs.py made."""

import json

from simsiam_tf.guard.causes import State
from simsiam_tf.guard.facts import Facts
from simsiam_tf.guard.states import Judge
from simsiam_tf.guard.windows import Window
from tests.conftest import ROOT

KEPT = ROOT / "tests" / "fixtures" / "guard"


def read(name):
    """Returns the facts of a kept run, its number of steps, and its windows and epochs in their order."""
    first, *lines = [json.loads(line) for line in (KEPT / f"{name}.jsonl").read_text().splitlines()]
    return Facts(**first["facts"]), first["steps"], lines


def judged(name):
    """Returns the states that the guard names, each with the step at which it is named first."""
    facts, steps, lines = read(name)
    judge, alarms = Judge(facts, steps), {}
    for line in lines:
        step = line["step"]
        means = {key: value for key, value in line.items() if key not in ("step", "epoch")}
        state = judge.add_epoch(step, means) if "epoch" in line else judge.add_window(Window(step, means))
        if state is not State.HEALTHY:
            alarms.setdefault(state, step)
    return list(alarms.items())
